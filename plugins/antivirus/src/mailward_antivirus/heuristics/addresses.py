"""Addresses from which documents load templates, objects and pictures."""

from __future__ import annotations

from mailward_antivirus.heuristics.patterns import pattern

_REMOTE = pattern(
    r"(?:https?|ftp|mhtml|html|script|x-usc|ms-[a-z]{1,30}):",
    r"(?:^|[\s\"'!])[\\/]{2}[^\\/\s]",
    r"(?:^|[\s\"'!])\\{4}",
    "%5c%5c",
    r"file:[/\\]{2}[^/\\\s]",
    r"file:[/\\]{4}",
)
_MONIKER = pattern(
    r"(?:^|[!\s\"'])(?:mhtml|html|script|x-usc|javascript|vbscript|ms-msdt):",
    r"!\s*x-usc:",
    r"\.html?!",
)


def is_remote(address: bytes) -> bool:
    """Whether an address, or one of several words, lies on another host; a path of the author's own disk does not."""
    return _REMOTE.search(address) is not None


def runs_code(address: bytes) -> bool:
    """Whether to follow an address is to run code."""
    return _MONIKER.search(address) is not None
