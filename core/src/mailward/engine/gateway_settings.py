"""The settings of the SMTP listener."""

from __future__ import annotations

import socket
from enum import StrEnum

from attrs import frozen

from mailward.hooks.settings import MIB, ByteSize, Seconds, between, setting


class RefusedCopies(StrEnum):
    """What happens to the copies that are refused when others of the same message are accepted."""

    BOUNCE = "bounce"
    DROP = "drop"


class BareLineEnds(StrEnum):
    """What happens to content that has a CR or LF of its own."""

    REFUSE = "refuse"
    NORMALISE = "normalise"


@frozen
class GatewaySettings:
    """``[gateway]``: the SMTP listener."""

    listen: tuple[str, ...] = setting(("127.0.0.1:2525",), help="addresses and ports to accept SMTP on")
    hostname: str = setting(factory=socket.gethostname, help="name in greeting, trace header, DSNs and HELO")
    postmaster: str = setting("", help="address that mail to <postmaster> without a domain is for; empty: at hostname")
    max_message_bytes: ByteSize = setting(
        ByteSize(50 * MIB), validator=between(64 * 1024, 2048 * MIB), help="largest message accepted (SIZE)"
    )
    max_recipients: int = setting(100, validator=between(1, 10_000), help="recipients of one message; more get 452")
    max_messages: int = setting(100, validator=between(1, 1024), help="messages of one connection; then 421")
    max_connections: int = setting(200, validator=between(1, 65_535), help="connections open at a time; then 421")
    max_hops: int = setting(30, validator=between(1, 100), help="Received headers before a loop is assumed (554)")
    timeout_s: Seconds = setting(
        Seconds(300.0), validator=between(1, 3600), help="silence of a client before it is cut"
    )
    bare_line_ends: BareLineEnds = setting(
        BareLineEnds.REFUSE,
        help="content with a bare CR or LF: refuse it (554), or normalise them to CRLF; neither ever ends a message",
    )
    trace: bool = setting(True, help="add a Received header")
    refused_copies: RefusedCopies = setting(
        RefusedCopies.BOUNCE,
        help="what happens to recipients whose copy is refused while the message was accepted for others",
    )
