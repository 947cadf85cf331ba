"""The trace header (RFC 5321 section 4.4)."""

from __future__ import annotations

import re
from email.utils import formatdate

from mailward.values.envelope import Envelope

_UNSAFE = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
MAX_NAME = 255


def received(envelope: Envelope, hostname: str) -> bytes:
    """The Received field for a message, CRLF at its end.

    What the client said of itself is cut down to the characters of host names. The recipient is
    named only where there is one, so that no copy shows blind recipients. The client's host name and
    the TLS cipher stand there where they are known.
    """
    session = envelope.session
    helo = _UNSAFE.sub("?", session.helo)[:MAX_NAME] or "unknown"
    ip = f"IPv6:{session.client_ip}" if ":" in session.client_ip else session.client_ip
    name = f"{_UNSAFE.sub('?', session.client_name)[:MAX_NAME]} " if session.client_name else ""
    lines = [
        f"Received: from {helo} ({name}[{ip or 'unknown'}])",
        f"\tby {hostname} (Mailward) with {session.protocol} id {envelope.id}",
    ]
    if len(envelope.recipients) == 1:
        address = str(envelope.recipients[0].address)
        if address.isascii() and address.isprintable():
            lines.append(f"\tfor <{address}>")
    if session.tls:
        # an additional registered clause (RFC 8314 section 4.3)
        lines.append(f"\ttls {_UNSAFE.sub('?', session.tls.rpartition(' ')[2])}")
    lines[-1] += ";"
    date = formatdate(envelope.received_at).removesuffix("-0000") + "+0000"
    lines.append(f"\t{date}")
    return ("\r\n".join(lines) + "\r\n").encode("ascii", "replace")
