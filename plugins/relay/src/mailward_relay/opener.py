"""The opener: from a next hop to a link (RFC 5321 section 3.1, RFC 3207, RFC 4954, RFC 2033)."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

import aiosmtplib
from attrs import evolve, frozen

from mailward import DnsFault, NameNotFound, NextHop, Resolver
from mailward_relay.dane import Dane, Pins
from mailward_relay.dial import Endpoint, connect
from mailward_relay.link import Link
from mailward_relay.manner import Manner, Manners
from mailward_relay.ours import LoopError, Ours
from mailward_relay.route_settings import Tls
from mailward_relay.settings import RelaySettings
from mailward_relay.targets import LMTP_PORT, SMTP_PORT
from mailward_relay.wire import LinkError, Wire, clean, make_reply

MAX_ADDRESSES = 8
"""Addresses of one host that are tried."""

_STEPS = (aiosmtplib.SMTPException, OSError, ValueError)


class TlsError(LinkError):
    """TLS was begun and failed."""


class _AnchorFound(Exception):
    """The host showed a chain that can be verified by one of its own certificates, in another connection."""

    def __init__(self, pins: Pins) -> None:
        self.pins = pins
        super().__init__()


@frozen(eq=False)
class _Call:
    """One connection being made: where, how, and with which certificates TLS is content."""

    host: str
    endpoint: Endpoint
    manner: Manner
    lmtp: bool
    pins: Pins | None = None

    @property
    def name(self) -> str:
        """The name that the host is asked for in TLS, and that its certificate must have where that is checked."""
        return self.pins.name if self.pins is not None else self.host

    @property
    def must_encrypt(self) -> bool:
        return self.pins is not None or self.manner.demands_tls

    @property
    def context(self) -> ssl.SSLContext:
        return self.pins.context(self.manner.unverified) if self.pins is not None else self.manner.context


class Opener:
    """Opens links: finds addresses, connects, lets aiosmtplib greet, start TLS and log in."""

    def __init__(
        self, settings: RelaySettings, manners: Manners, hostname: str, resolver: Resolver, ours: Ours, log: Any
    ) -> None:
        self._settings = settings
        self._manners = manners
        self._hostname = hostname
        self._resolver = resolver
        self._ours = ours
        self._log = log
        self._dane = Dane(resolver)

    async def open(self, hop: NextHop) -> Link:
        """A new link to the first address of a host that takes one; raises LinkError of the last where none does.

        Raises LoopError where a host that was found by MX is ourselves.
        """
        manner = self._manners.get(hop.route)
        if manner is None:
            raise LinkError(f"there is no route {hop.route!r} in the settings of the default policy")
        lmtp = hop.transport == "lmtp"
        if hop.path:
            return await self._secured(_Call("localhost", Endpoint(hop.path), manner, lmtp))
        port = hop.port or (LMTP_PORT if lmtp else SMTP_PORT)
        pins = await self._pins(hop.host, port) if manner.dane else None
        fault = LinkError(f"{hop.host} has no address")
        for address in (await self._addresses(hop.host))[:MAX_ADDRESSES]:
            if manner.by_mx and self._ours.is_at(address):
                raise self._loops(hop.host, address, "is an address of ours")
            try:
                return await self._secured(_Call(hop.host, Endpoint(address, port), manner, lmtp, pins))
            except LoopError:
                raise
            except LinkError as error:
                fault = error
        raise fault

    def _loops(self, host: str, address: str, why: str) -> LoopError:
        self._ours.learn(address)
        return LoopError(f"mail to {host} would loop back to this system: {address} {why}")

    async def _pins(self, host: str, port: int) -> Pins | None:
        try:
            return await self._dane.pins(host, port)
        except DnsFault as error:
            raise LinkError(f"whether {host} has TLSA records could not be looked up") from error

    async def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            return await self._resolver.addresses(host)
        except NameNotFound as error:
            raise LinkError(f"{host} has no address") from error
        except DnsFault as error:
            raise LinkError(f"the address of {host} could not be looked up") from error

    async def _secured(self, call: _Call) -> Link:
        try:
            return await self._dial(call, secure=call.must_encrypt or call.manner.tls is not Tls.NONE)
        except _AnchorFound as found:
            return await self._dial(evolve(call, pins=found.pins), secure=True)
        except TlsError as error:
            if call.must_encrypt or call.manner.implicit_tls:
                raise
            self._log.warning(
                "STARTTLS failed, going on without",
                host=call.host,
                address=call.endpoint.address,
                detail=error.detail,
            )
            return await self._dial(call, secure=False)

    async def _dial(self, call: _Call, *, secure: bool) -> Link:
        sock = await connect(call.endpoint, call.manner.source, self._settings.connect_timeout_s)
        client = aiosmtplib.SMTP(
            sock=sock,
            hostname=call.name,
            local_hostname=self._hostname,
            use_tls=call.manner.implicit_tls,
            start_tls=False,
            tls_context=call.context,
        )
        link: Link | None = None
        try:
            await self._greet(client, call)
            await self._hello(client, lmtp=call.lmtp)
            self._check_name(client, call)
            secured = call.manner.implicit_tls or (secure and await self._start_tls(client, call))
            if secured and call.pins is not None:
                _check_pins(client, call, call.pins)
            await self._log_in(client, call, secured=secured)
            link = _take_over(client, call, secured=secured)
            return link
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _as_fault(LinkError, error, call.endpoint) from error
        finally:
            if link is None:
                client.close()

    async def _greet(self, client: aiosmtplib.SMTP, call: _Call) -> None:
        try:
            await client.connect(timeout=self._settings.initial_timeout_s)
        except ssl.SSLError as error:
            raise _as_fault(TlsError, error, call.endpoint) from error

    async def _hello(self, client: aiosmtplib.SMTP, *, lmtp: bool) -> None:
        timeout_s = self._settings.hello_timeout_s
        if lmtp:
            answer = await client.execute_command(b"LHLO", self._hostname.encode("ascii"), timeout=timeout_s)
            if answer.code != 250:
                raise aiosmtplib.SMTPHeloError(answer.code, answer.message)
            client.last_ehlo_response = answer
            return
        try:
            await client.ehlo(timeout=timeout_s)
        except aiosmtplib.SMTPHeloError as error:
            if not 500 <= error.code <= 599:
                raise
            await client.helo(timeout=timeout_s)

    def _check_name(self, client: aiosmtplib.SMTP, call: _Call) -> None:
        """Raise LoopError where a host that was found by MX calls itself by our own name (RFC 5321 section 4.1.1.1)."""
        said = client.last_ehlo_response or client.last_helo_response
        name = said.message.split(maxsplit=1)[0] if said is not None and said.message.strip() else ""
        # a name without a dot, such as localhost, is too many hosts' own
        if call.manner.by_mx and "." in name and name.lower() == self._hostname.lower():
            raise self._loops(call.host, call.endpoint.address, f"answers by our own name, {self._hostname}")

    async def _start_tls(self, client: aiosmtplib.SMTP, call: _Call) -> bool:
        """Whether the connection is encrypted now; raises TlsError where that was begun and failed."""
        if not client.supports_extension("starttls"):
            if call.must_encrypt:
                wanted = "a TLSA record demands it" if call.pins else f"tls is set to {call.manner.tls}"
                raise LinkError(f"{call.endpoint} offers no STARTTLS, and {wanted}")
            return False
        try:
            await client.starttls(timeout=self._settings.hello_timeout_s)
            await self._hello(client, lmtp=call.lmtp)
        except _STEPS as error:
            raise _as_fault(TlsError, error, call.endpoint) from error
        return True

    async def _log_in(self, client: aiosmtplib.SMTP, call: _Call, *, secured: bool) -> None:
        manner = call.manner
        if not manner.user:
            return
        if not secured and not manner.password_in_clear and "cram-md5" not in client.server_auth_methods:
            raise LinkError(f"{call.endpoint} is not spoken to with TLS, and the password is not sent in the clear")
        in_the_clear = not secured and not manner.password_in_clear
        log_in = client.auth_crammd5 if in_the_clear else client.login
        try:
            await log_in(manner.user, manner.password.reveal(), timeout=self._settings.hello_timeout_s)
        except (*_STEPS, RuntimeError) as error:
            fault = _as_fault(LinkError, error, call.endpoint)
            raise LinkError(f"logging in: {fault.detail}", fault.reply) from error


def _check_pins(client: aiosmtplib.SMTP, call: _Call, pins: Pins) -> None:
    transport = cast(asyncio.Transport, client.transport)
    shown = transport.get_extra_info("ssl_object")
    if shown is not None and pins.match(shown):
        return
    anchored = pins.anchored(shown) if shown is not None else None
    if anchored is None:
        raise TlsError(f"{call.endpoint}: its certificate matches no TLSA record")
    raise _AnchorFound(anchored)


def _take_over(client: aiosmtplib.SMTP, call: _Call, *, secured: bool) -> Link:
    """Put our protocol in the place of aiosmtplib's, which has done its part."""
    transport = cast(asyncio.Transport, client.transport)
    if client.transport is None or transport.is_closing():
        raise LinkError(f"{call.endpoint} closed the connection")
    wire = Wire(transport)
    transport.set_protocol(wire)
    verified = call.pins is not None or call.manner.tls is Tls.VERIFY
    by = "DANE" if call.pins is not None else "MTA-STS" if call.manner.sts else "verified"
    tls = (f"TLS {by}" if verified else "TLS") if secured else ""
    return Link(wire, str(call.endpoint), dict(client.esmtp_extensions), tls, call.lmtp)


def _as_fault(kind: type[LinkError], error: Exception, endpoint: Endpoint) -> LinkError:
    if isinstance(error, LinkError):
        return error
    if isinstance(error, aiosmtplib.SMTPResponseException) and 200 <= error.code <= 599:
        return kind(f"{endpoint} answered {error.code}", make_reply(error.code, error.message.split("\n")))
    return kind(f"{endpoint}: {clean(str(error)) or type(error).__name__}")
