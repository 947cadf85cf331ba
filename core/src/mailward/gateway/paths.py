"""The arguments of MAIL and RCPT: paths and ESMTP parameters (RFC 5321 section 4.1.2, RFC 3461)."""

from __future__ import annotations

import re

from attrs import frozen

from mailward.values.address import NULL, Address, AddressError
from mailward.values.envelope import Parameters
from mailward.values.reply import Reply

_PATH = re.compile(r"(?:FROM|TO): ?<((?:\"(?:[^\"\\]|\\.)*\"|[^<>\"])*)>(?: +(.*))?", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00- =\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")

SYNTAX = Reply(501, "5.5.4", "Syntax error in address or parameters")
UNKNOWN = Reply(555, "5.5.4", "Parameter not recognised")

MAIL_PARAMETERS: dict[str, re.Pattern[str]] = {
    "SIZE": re.compile(r"\d{1,20}"),
    "BODY": re.compile(r"7BIT|8BITMIME", re.IGNORECASE),
    "SMTPUTF8": re.compile(""),
    "RET": re.compile(r"FULL|HDRS", re.IGNORECASE),
    "ENVID": re.compile(rf"(?=.{{1,100}}\Z){_XTEXT.pattern}"),
    "AUTH": re.compile(r"<>|" + _XTEXT.pattern),
}
RCPT_PARAMETERS: dict[str, re.Pattern[str]] = {
    "NOTIFY": re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.IGNORECASE),
    # an address of type utf-8 may hold what is not ASCII (RFC 6533 section 3)
    "ORCPT": re.compile(
        rf"(?=.{{1,500}}\Z)(?:[A-Za-z0-9-]+;{_XTEXT.pattern}|(?i:utf-8);(?:[^\x00- +=\x7f]|\+[0-9A-F]{{2}})+)",
    ),
}
"""The parameters that are kept, each with the values it may have."""


@frozen
class Path:
    """A path with its parameters, keywords in upper case; ``source_route`` stood before the address."""

    address: Address
    parameters: Parameters = ()
    source_route: str = ""


def parse_path(argument: str, known: dict[str, re.Pattern[str]]) -> Path | Reply:
    """Read ``FROM:<path> parameters`` or ``TO:<path> parameters``; a Reply where that is refused.

    A source route (``@a,@b:user@c``) does not change where mail goes, as RFC 5321 appendix C has it;
    plugins are told of it.
    """
    match = _PATH.fullmatch(argument)
    if match is None:
        return SYNTAX
    mailbox, source_route = match[1], ""
    if mailbox.startswith("@"):
        source_route, _, mailbox = mailbox.partition(":")
        if not mailbox:
            return SYNTAX
    try:
        address = Address.parse(mailbox) if mailbox.lower() != "postmaster" else Address("postmaster", "")
    except AddressError:
        return Reply(553, "5.1.3", "Address is not valid")
    if not match[2]:
        return Path(address, (), source_route)
    parameters: list[tuple[str, str]] = []
    for word in match[2].split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            return SYNTAX
        keyword, value = found[1].upper(), found[2] or ""
        if keyword not in known:
            return UNKNOWN
        if known[keyword].fullmatch(value) is None or any(keyword == name for name, _ in parameters):
            return SYNTAX
        parameters.append((keyword, value))
    return Path(address, tuple(parameters), source_route)


def is_null(path: Path) -> bool:
    """Whether the path is ``<>``."""
    return path.address == NULL
