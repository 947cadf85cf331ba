"""A directory that knows recipients, asked over LDAP (RFC 4511) in threads."""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailward import Address, PeerError
from mailward_relay.recipient_settings import LdapSettings

MOST_CONNECTIONS = 4
_HINT = "install mailward-relay[ldap]"


class DirectoryFault(PeerError):
    """The directory gave no answer: nothing is known."""


class Directory:
    """Searches for one entry; at most `MOST_CONNECTIONS` connections, kept between searches."""

    def __init__(self, settings: LdapSettings, resolve_path: Callable[[str], Path]) -> None:
        """Raises ValueError where the settings cannot work."""
        try:
            import ldap3
        except ImportError:
            raise ValueError(f"ldap3 is not there; {_HINT}") from None
        self._ldap3: Any = ldap3
        self._settings = settings
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._kept: list[Any] = []
        if bool(settings.bind_dn) != bool(settings.password):
            raise ValueError("bind_dn and password go together; set both or neither")
        authorities = str(resolve_path(settings.ca_file)) if settings.ca_file else None
        if authorities is not None and not Path(authorities).is_file():
            raise ValueError(f"ca_file = {settings.ca_file!r}: {authorities} is no file")
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=authorities)
        try:
            self._servers = [
                ldap3.Server(url, tls=tls, connect_timeout=settings.timeout_s, get_info=ldap3.NONE)
                for url in settings.servers
            ]
            self._filter(Address("probe", "example.com"))
        except (self._error, ValueError, KeyError, IndexError) as error:
            raise ValueError(f"servers or filter cannot be used: {error}") from error

    @property
    def _error(self) -> type[Exception]:
        kind: type[Exception] = self._ldap3.core.exceptions.LDAPException
        return kind

    async def knows(self, address: Address) -> bool:
        """Whether the directory has an entry for an address. Raises DirectoryFault."""
        async with self._places:
            return await asyncio.to_thread(self._search, address)

    async def close(self) -> None:
        """Part from the servers."""
        kept, self._kept = self._kept, []
        for connection in kept:
            await asyncio.to_thread(self._unbind, connection)

    def _filter(self, address: Address) -> str:
        escape = self._ldap3.utils.conv.escape_filter_chars
        return self._settings.filter.format(
            address=escape(address.key), local=escape(address.local.lower()), domain=escape(address.domain)
        )

    def _search(self, address: Address) -> bool:
        """One search; on a kept connection that has gone stale, a second one on a fresh."""
        wanted = self._filter(address)
        if self._kept:
            connection = self._kept.pop()
            try:
                return self._asked(connection, wanted)
            except DirectoryFault:
                self._unbind(connection)
        connection = self._connected()
        try:
            return self._asked(connection, wanted)
        except DirectoryFault:
            self._unbind(connection)
            raise

    def _asked(self, connection: Any, wanted: str) -> bool:
        try:
            connection.search(self._settings.base, wanted, attributes=["1.1"], size_limit=1)
        except self._error as error:
            raise DirectoryFault(f"the directory did not answer: {error}") from error
        result = connection.result
        # sizeLimitExceeded: there is more than the one that was asked for.
        if result["result"] not in (0, 4):
            raise DirectoryFault(f"the directory answered: {result['description']}")
        found = any(entry["type"] == "searchResEntry" for entry in connection.response or ())
        self._kept.append(connection)
        return found

    def _connected(self) -> Any:
        fault: Exception | None = None
        for server in self._servers:
            try:
                return self._bound(server)
            except (self._error, OSError, ValueError) as error:
                fault = error
        raise DirectoryFault(f"no directory can be reached: {fault}")

    def _bound(self, server: Any) -> Any:
        settings = self._settings
        connection = self._ldap3.Connection(
            server,
            user=settings.bind_dn or None,
            password=settings.password.reveal() or None,
            receive_timeout=math.ceil(settings.timeout_s),
            read_only=True,
            raise_exceptions=False,
        )
        try:
            connection.open()
            if settings.starttls and not server.ssl and not connection.start_tls():
                raise DirectoryFault("the directory offers no STARTTLS")
            if settings.bind_dn and not connection.bind():
                raise DirectoryFault(f"the directory refused the login: {connection.result['description']}")
        except BaseException:
            self._unbind(connection)
            raise
        return connection

    def _unbind(self, connection: Any) -> None:
        sock = connection.socket
        with contextlib.suppress(self._error, OSError):
            connection.unbind()
        # ldap3 forgets the socket of a connection that it could not open or lost, without closing it.
        if sock is not None:
            sock.close()
