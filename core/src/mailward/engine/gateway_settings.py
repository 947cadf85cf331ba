"""The settings of the SMTP listeners."""

from __future__ import annotations

import re
import socket
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import frozen

from mailward.hooks.settings import MIB, ByteSize, Seconds, between, setting
from mailward.values.address import NULL, Address
from mailward.values.networks import Networks


class RefusedCopies(StrEnum):
    """What happens to the copies that are refused when others of the same message are accepted."""

    BOUNCE = "bounce"
    DROP = "drop"


class ScanTime(StrEnum):
    """When content is judged."""

    INLINE = "inline"
    QUEUED = "queued"


class DeliveryMode(StrEnum):
    """Where an accepted message goes."""

    QUEUE = "queue"
    PROXY = "proxy"


class BareLineEnds(StrEnum):
    """What happens to content that has a CR or LF of its own."""

    REFUSE = "refuse"
    NORMALISE = "normalise"


class Protocol(StrEnum):
    """What is spoken: SMTP with one reply for a message, LMTP with one for each recipient."""

    SMTP = "smtp"
    LMTP = "lmtp"

    @property
    def hello(self) -> str:
        """The command that asks what is offered (RFC 5321 section 4.1.1.1, RFC 2033 section 4.1)."""
        return "LHLO" if self is Protocol.LMTP else "EHLO"


class Tls(StrEnum):
    """Where TLS begins: nowhere, where the client asks, before any mail, or with the connection."""

    OFF = "off"
    STARTTLS = "starttls"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class TlsVersion(StrEnum):
    """The oldest version of TLS that is spoken."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ClientCertificates(StrEnum):
    """Whether clients are asked for a certificate; one that is shown must be good."""

    OFF = "off"
    REQUEST = "request"
    REQUIRE = "require"


class Auth(StrEnum):
    """Whether clients may, or must, log in."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class EarlyTalkers(StrEnum):
    """What clients are told that speak before they were greeted."""

    REFUSE = "refuse"
    DEFER = "defer"
    ALLOW = "allow"


_HOSTNAME = re.compile(r"(?=.{1,255}\Z)(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[A-Za-z0-9:.]+\])")


def _hostname(instance: object, attribute: Any, value: str) -> None:
    # it goes into replies, header fields and names of files as it is
    if _HOSTNAME.fullmatch(value) is None:
        raise ValueError("is no host name; allowed: letters, digits and hyphens between dots, as in mx.example.com")


def _networks(instance: object, attribute: Any, value: tuple[str, ...]) -> None:
    Networks.parse(value)


@frozen
class GatewaySettings:
    """``[gateway]``: receiving mail. ``[listener.NAME]`` overrides all but the keys of the whole gateway."""

    listen: tuple[str, ...] = setting(("127.0.0.1:2525",), help="addresses and ports to accept mail on")
    hostname: str = setting(
        factory=socket.gethostname, validator=_hostname, help="name in greeting, trace header, DSNs and HELO"
    )
    postmaster: Address = setting(
        NULL, help="address that mail to <postmaster> without a domain is for; empty: at hostname"
    )
    protocol: Protocol = setting(Protocol.SMTP, help="smtp, or lmtp with a reply for each recipient (RFC 2033)")
    max_message_bytes: ByteSize = setting(
        ByteSize(50 * MIB), validator=between(64 * 1024, 2048 * MIB), help="largest message accepted (SIZE)"
    )
    max_session_bytes: ByteSize = setting(
        ByteSize(2000 * MIB),
        validator=between(64 * 1024, 2**40),
        help="content of all messages of one connection; then 421",
    )
    max_recipients: int = setting(100, validator=between(1, 10_000), help="recipients of one message; more get 452")
    max_messages: int = setting(100, validator=between(1, 1024), help="messages of one connection; then 421")
    max_connections: int = setting(
        200, validator=between(1, 65_535), help="connections open at a time, all processes and listeners together"
    )
    max_connections_per_address: int = setting(
        20,
        validator=between(1, 65_535),
        help="connections of one client address at a time; 127.0.0.1 has no limit",
    )
    connection_wait_s: Seconds = setting(
        Seconds(5.0),
        validator=between(0, 60),
        help="how long a connection over a limit waits for room before it is told 421",
    )
    max_hops: int = setting(30, validator=between(1, 100), help="Received headers before a loop is assumed (554)")
    max_errors: int = setting(10, validator=between(1, 1000), help="bad commands of one connection; then 421")
    max_junk_commands: int = setting(
        100, validator=between(1, 10_000), help="commands that bring no mail on, between two messages; then 421"
    )
    command_timeout_s: Seconds = setting(
        Seconds(300.0),
        validator=between(1, 1200),
        help="wait for HELO, MAIL, the first RCPT, QUIT (ReceivingCommandTimeout)",
    )
    data_start_timeout_s: Seconds = setting(
        Seconds(600.0),
        validator=between(1, 2400),
        help="wait for further recipients and DATA (ReceivingDataInitiationTimeout)",
    )
    data_end_timeout_s: Seconds = setting(
        Seconds(300.0),
        validator=between(1, 7200),
        help="silence in the middle of content (ReceivingDataTerminationTimeout)",
    )
    read_timeout_s: Seconds = setting(
        Seconds(120.0),
        validator=between(1, 1200),
        help="wait for the next step of a log-in, a TLS handshake, a PROXY header",
    )
    write_timeout_s: Seconds = setting(
        Seconds(120.0), validator=between(1, 1200), help="wait for a client that takes no reply"
    )
    min_bytes_per_s: int = setting(
        100,
        validator=between(0, 1_000_000),
        help="slowest pace of content, on average after the first minute; 0: none",
    )
    early_talkers: EarlyTalkers = setting(
        EarlyTalkers.REFUSE, help="clients that speak before the greeting: refuse (554), defer (421) or allow"
    )
    greeting_delay_s: Seconds = setting(
        Seconds(0.0), validator=between(0, 30), help="wait before the greeting, so that early talkers show"
    )
    pipe_connect: bool = setting(
        False,
        help="offer PIPECONNECT: clients may send EHLO, and all that they may pipeline, before the greeting",
    )
    bare_line_ends: BareLineEnds = setting(
        BareLineEnds.REFUSE,
        help="content with a bare CR or LF: refuse it (554), or normalise them to CRLF; neither ever ends a message",
    )
    deny_unresolved_clients: bool = setting(
        False, help="refuse clients whose address has no host name", also=("DenyUnresolvedConnect",)
    )
    deny_unresolved_senders: bool = setting(
        False,
        help="refuse senders whose domain has no mail exchanger with an address",
        also=("DenyUnresolvedMailfrom",),
    )
    client_names: bool = setting(False, help="look the host names of clients up, for the trace header and plugins")
    tls: Tls = setting(
        Tls.OFF, help="off, starttls (offered), required (before any mail), implicit (from the first byte)"
    )
    tls_certificate: Path | None = setting(None, help="certificate with its chain (PEM); read again when it changes")
    tls_key: Path | None = setting(None, help="its private key (PEM); not set: in the file of the certificate")
    tls_min_version: TlsVersion = setting(TlsVersion.TLS_1_2, help="oldest version of TLS")
    tls_client_certificates: ClientCertificates = setting(
        ClientCertificates.OFF, help="ask clients for a certificate; one that is shown must be good"
    )
    tls_client_ca: Path | None = setting(None, help="certificates (PEM) that may vouch for those of clients")
    auth: Auth = setting(Auth.OFF, help="AUTH PLAIN and LOGIN: off, optional, or required before any mail")
    auth_without_tls: bool = setting(False, help="allow passwords over connections that are not encrypted")
    password_file: Path | None = setting(None, help="users and argon2 hashes, written by `mailward password`")
    max_login_failures: int = setting(
        3, validator=between(1, 100), help="failed log-ins of one connection, and five times as many of an address; 421"
    )
    proxy_from: tuple[str, ...] = setting(
        (), validator=_networks, help="addresses and networks whose connections begin with a PROXY header (v1, v2)"
    )
    xclient_from: tuple[str, ...] = setting(
        (), validator=_networks, help="addresses and networks that may say whom they speak for (XCLIENT)"
    )
    xforward_from: tuple[str, ...] = setting(
        (), validator=_networks, help="addresses and networks that may say where a message came from (XFORWARD)"
    )
    scan: ScanTime = setting(
        ScanTime.INLINE,
        help="judge before the reply, so that refusals reach the client (inline), or after it, from the queue (queued)",
    )
    delivery: DeliveryMode = setting(
        DeliveryMode.QUEUE,
        help="store accepted mail and deliver it (queue), or deliver before the reply: the next hop's is ours (proxy)",
    )
    trace: bool = setting(True, help="add a Received header")
    refused_copies: RefusedCopies = setting(
        RefusedCopies.BOUNCE,
        help="what happens to recipients whose copy is refused while the message was accepted for others",
    )

    @property
    def postmaster_address(self) -> Address:
        """Whom mail to <postmaster> without a domain is for (RFC 5321 section 4.5.1)."""
        return Address("postmaster", self.hostname.lower()) if self.postmaster.is_null else self.postmaster


WHOLE_GATEWAY = frozenset(
    {"hostname", "postmaster", "max_connections", "max_hops", "scan", "delivery", "trace", "refused_copies"}
)
"""Keys that a listener cannot override: they are about the gateway as a whole."""
