"""A directory that knows recipients, asked over LDAP (RFC 4511) in threads."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from mailward import Address, Expiring, PeerError
from mailward_relay.recipient_settings import LdapSettings

MOST_CONNECTIONS = 4

ANSWER_S = 20.0
"""For all servers together, where nobody says otherwise."""

SILENT_S = 30.0
"""How long a server that did not answer in time is not asked: who waits is a client with its message."""

_HINT = "install mailward-relay[ldap]"


class DirectoryFault(PeerError):
    """The directory gave no answer: nothing is known."""


@define(eq=False)
class _Search:
    """One search at one server: over a kept connection, or a new one, which is noted as soon as it is begun."""

    server: Any
    connection: Any = field(default=None)

    @property
    def name(self) -> str:
        return str(self.server.name)

    def cut(self) -> None:
        """End it from another thread: what waits for the server fails."""
        sock = self.connection.socket if self.connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Directory:
    """Searches for one entry; at most `MOST_CONNECTIONS` connections, kept between searches."""

    def __init__(
        self, settings: LdapSettings, resolve_path: Callable[[str], Path], monotonic: Callable[[], float]
    ) -> None:
        """Raises ValueError where the settings cannot work."""
        try:
            import ldap3
        except ImportError:
            raise ValueError(f"ldap3 is not there; {_HINT}") from None
        self._ldap3: Any = ldap3
        self._settings = settings
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._kept: list[Any] = []
        self._silent: Expiring[str, str] = Expiring(monotonic)
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

    async def knows(self, address: Address, within_s: float = ANSWER_S) -> bool:
        """Whether the directory has an entry for an address. Raises DirectoryFault.

        The servers share the time: each may take its part of what those before it have left.
        """
        wanted = self._filter(address)
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        searches = self._searches()
        fault = DirectoryFault("; ".join(filter(None, (self._silent.get(server.name) for server in self._servers))))
        for place, search in enumerate(searches):
            try:
                return await self._run(search, wanted, (end - loop.time()) / (len(searches) - place))
            except DirectoryFault as error:
                fault = error
        raise fault

    def _searches(self) -> list[_Search]:
        """A search on a kept connection, which may have gone stale, then one at each server that is not silent."""
        kept = [_Search(one.server, one) for one in (self._kept.pop(),)] if self._kept else []
        return kept + [_Search(server) for server in self._servers if self._silent.get(server.name) is None]

    async def _run(self, search: _Search, wanted: str, within_s: float) -> bool:
        """Search in a thread; one that hangs is left to its end, and keeps its place among the connections."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        try:
            async with asyncio.timeout_at(end):
                await self._places.acquire()
        except TimeoutError:
            raise DirectoryFault(f"all {MOST_CONNECTIONS} connections to the directory are busy") from None
        begun = loop.time()
        thread = loop.run_in_executor(None, self._search, search, wanted)
        thread.add_done_callback(self._ended)
        try:
            done, _ = await asyncio.wait({thread}, timeout=max(0.0, end - begun))
        finally:
            if not thread.done():
                search.cut()
        try:
            if done:
                return thread.result()
            raise DirectoryFault(f"{search.name} gave no answer in {within_s:.3g} s")
        except DirectoryFault as fault:
            if not done or loop.time() - begun >= self._settings.timeout_s:
                self._silent.put(search.name, str(fault), SILENT_S)
            raise

    def _ended(self, thread: asyncio.Future[bool]) -> None:
        self._places.release()
        if not thread.cancelled():
            thread.exception()  # whoever waited for it may be gone

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

    def _search(self, search: _Search, wanted: str) -> bool:
        if search.connection is None:
            try:
                self._bind(search)
            except (self._error, OSError, ValueError) as error:
                raise DirectoryFault(f"{search.name} cannot be reached: {error}") from error
        try:
            return self._asked(search.connection, wanted)
        except DirectoryFault:
            self._unbind(search.connection)
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

    def _bind(self, search: _Search) -> None:
        settings, server = self._settings, search.server
        connection = search.connection = self._ldap3.Connection(
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

    def _unbind(self, connection: Any) -> None:
        sock = connection.socket
        with contextlib.suppress(self._error, OSError):
            connection.unbind()
        # ldap3 forgets the socket of a connection that it could not open or lost, without closing it.
        if sock is not None:
            sock.close()
