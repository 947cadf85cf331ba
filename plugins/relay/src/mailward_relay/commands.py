"""MAIL and RCPT with the parameters that a peer offers (RFC 1870, 3461, 6152, 6531)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailward import Address, Recipient, Reply, Sender

NO_SMTPUTF8 = Reply(553, "5.6.7", "The next hop takes no internationalised addresses")
BAD_ADDRESS = Reply(553, "5.1.3", "The address cannot be written in SMTP")

_VALUE = re.compile(r"[^\x00- \x7f\ud800-\udfff]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def wants_utf8(sender: Sender, recipients: tuple[Recipient, ...]) -> bool:
    """Whether the transaction needs SMTPUTF8: the client asked for it, or an address is not ASCII."""
    return sender.parameter("SMTPUTF8") is not None or not all(
        str(address).isascii() for address in (sender.address, *(r.address for r in recipients))
    )


def unsendable(address: Address, extensions: Mapping[str, str]) -> Reply | None:
    """Why an address cannot be given to this peer, or None (RFC 6531 section 3.2)."""
    text = str(address)
    if _UNWRITABLE.search(text):
        return BAD_ADDRESS
    return None if text.isascii() or "smtputf8" in extensions else NO_SMTPUTF8


def mail_command(sender: Sender, size_bytes: int, extensions: Mapping[str, str], *, utf8: bool) -> bytes:
    """MAIL FROM, without line end. ``utf8``: the transaction needs SMTPUTF8."""
    words = [f"MAIL FROM:<{sender.address}>"]
    if "size" in extensions:
        words.append(f"SIZE={size_bytes}")
    if "8bitmime" in extensions and (utf8 or (sender.parameter("BODY") or "").upper() == "8BITMIME"):
        words.append("BODY=8BITMIME")
    if "smtputf8" in extensions and utf8:
        words.append("SMTPUTF8")
    if "dsn" in extensions:
        words += _passed_on(sender, ("RET", "ENVID"))
    return " ".join(words).encode()


def rcpt_command(recipient: Recipient, extensions: Mapping[str, str]) -> bytes:
    """RCPT TO, without line end."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if "dsn" in extensions:
        words += _passed_on(recipient, ("NOTIFY", "ORCPT"))
    return " ".join(words).encode()


def _passed_on(path: Sender | Recipient, keywords: tuple[str, ...]) -> list[str]:
    """Parameters of the client's that go to the next hop; one that is no parameter value is left out."""
    found = [(keyword, path.parameter(keyword)) for keyword in keywords]
    return [f"{keyword}={value}" for keyword, value in found if value and _VALUE.fullmatch(value)]
