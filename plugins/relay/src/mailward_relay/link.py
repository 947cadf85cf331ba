"""Links: open SMTP connections, and the opener that makes them (RFC 5321 section 3.1, RFC 3207)."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any, cast

import aiosmtplib
from attrs import define

from mailward import DnsFault, NameNotFound, Resolver
from mailward_relay.settings import RelaySettings, Tls
from mailward_relay.wire import LinkError, Wire, clean, make_reply

MAX_ADDRESSES = 8
"""Addresses of one host that are tried."""


@define(eq=False)
class Link:
    """One connection to a next hop, ready for MAIL.

    ``extensions`` maps what EHLO offered, in lower case, to its parameters; ``messages`` counts the
    transactions so far, ``dirty`` says that one was left open and RSET is due.
    """

    wire: Wire
    peer: str
    extensions: Mapping[str, str]
    tls: bool = False
    messages: int = 0
    dirty: bool = False

    @property
    def reused(self) -> bool:
        """Whether it has carried a message before, so that it may have gone stale."""
        return self.messages > 0

    async def quit(self, timeout_s: float) -> None:
        """Say goodbye and close; a peer that does not answer is left."""
        try:
            if self.wire.usable:
                self.wire.send(b"QUIT\r\n", replies=1)
                await self.wire.reply(timeout_s)
        except LinkError:
            pass
        finally:
            self.wire.close()
        await self.wire.gone(timeout_s)


class TlsError(LinkError):
    """STARTTLS was offered and failed."""


def tls_context() -> ssl.SSLContext:
    """Opportunistic TLS: encryption against listeners, no check of who answers (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Opener:
    """Opens links: finds addresses, connects, and lets aiosmtplib greet and start TLS."""

    def __init__(self, settings: RelaySettings, hostname: str, resolver: Resolver, log: Any) -> None:
        self._settings = settings
        self._hostname = hostname
        self._resolver = resolver
        self._log = log
        self._context = None if settings.tls == Tls.NONE else tls_context()

    async def open(self, host: str, port: int) -> Link:
        """A new link to the first address of a host that takes one; raises LinkError of the last where none does."""
        try:
            addresses = await self._resolver.addresses(host)
        except NameNotFound as error:
            raise LinkError(f"{host} has no address") from error
        except DnsFault as error:
            raise LinkError(f"the address of {host} could not be looked up") from error
        fault = LinkError(f"{host} has no address")
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._secured(host, address, port)
            except LinkError as error:
                fault = error
        raise fault

    async def _secured(self, host: str, address: str, port: int) -> Link:
        try:
            return await self._dial(host, address, port, self._context)
        except TlsError as error:
            if self._settings.tls == Tls.ENCRYPT:
                raise
            self._log.warning("STARTTLS failed, going on without", host=host, address=address, detail=error.detail)
            return await self._dial(host, address, port, None)

    async def _dial(self, host: str, address: str, port: int, context: ssl.SSLContext | None) -> Link:
        sock = await self._connect(address, port)
        client = aiosmtplib.SMTP(
            sock=sock, hostname=host, local_hostname=self._hostname, start_tls=False, tls_context=context
        )
        peer = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        link: Link | None = None
        try:
            await client.connect(timeout=self._settings.initial_timeout_s)
            await self._hello(client)
            secured = context is not None and await self._start_tls(client, peer)
            link = _take_over(client, peer, secured)
            return link
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _as_fault(LinkError, error, peer) from error
        finally:
            if link is None:
                client.close()

    async def _hello(self, client: aiosmtplib.SMTP) -> None:
        timeout_s = self._settings.hello_timeout_s
        try:
            await client.ehlo(timeout=timeout_s)
        except aiosmtplib.SMTPHeloError as error:
            if not 500 <= error.code <= 599:
                raise
            await client.helo(timeout=timeout_s)

    async def _start_tls(self, client: aiosmtplib.SMTP, peer: str) -> bool:
        """Whether the connection is encrypted now; raises TlsError where that was begun and failed."""
        if not client.supports_extension("starttls"):
            if self._settings.tls == Tls.ENCRYPT:
                raise LinkError(f"{peer} offers no STARTTLS, and tls is set to encrypt")
            return False
        try:
            await client.starttls(timeout=self._settings.hello_timeout_s)
            await self._hello(client)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _as_fault(TlsError, error, peer) from error
        return True

    async def _connect(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError as error:
            sock.close()
            # asyncio's own text is a programmer's; the error number says it in the administrator's words.
            reason = os.strerror(error.errno) if error.errno else "timed out"
            raise LinkError(f"connecting to {address} port {port}: {reason}") from error
        except BaseException:
            sock.close()
            raise
        return sock


def _take_over(client: aiosmtplib.SMTP, peer: str, secured: bool) -> Link:
    """Put our protocol in the place of aiosmtplib's, which has done its part."""
    transport = cast(asyncio.Transport, client.transport)
    if client.transport is None or transport.is_closing():
        raise LinkError(f"{peer} closed the connection")
    wire = Wire(transport)
    transport.set_protocol(wire)
    return Link(wire, peer, dict(client.esmtp_extensions), secured)


def _as_fault(kind: type[LinkError], error: Exception, peer: str) -> LinkError:
    if isinstance(error, aiosmtplib.SMTPResponseException) and 200 <= error.code <= 599:
        return kind(f"{peer} answered {error.code}", make_reply(error.code, error.message.split("\n")))
    return kind(f"{peer}: {clean(str(error)) or type(error).__name__}")
