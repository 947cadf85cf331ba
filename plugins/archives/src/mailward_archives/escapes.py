"""Escapes of pages and scripts: character references of HTML, escapes in strings, changes of charset in ISO-2022."""

from __future__ import annotations

import html
import re

from mailward_archives.buffer import Data

MOST_UNESCAPED_BYTES = 32 * 1024 * 1024
_ESCAPED = re.compile(
    rb"&(?:#|quot|apos|colon|semi|comma|sol|plus|equals|lowbar|hyphen|period|tab|newline)|\\[\r\n/xu0-7]|\x1b[($]", re.I
)
_CHARSET = re.compile(rb"\x1b(?:\([A-Z]|\$[@AB])")
_IN_STRINGS = re.compile(
    rb"\\(?:\r?\n|(/)|x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|u\{0*+([0-9a-fA-F]{1,2})\}|([0-3]?[0-7]{1,2}))"
)


def is_escaped(data: Data) -> bool:
    """Whether undoing escapes may show something that the content as it stands does not."""
    return _ESCAPED.search(data) is not None


def unescaped(data: Data) -> bytes:
    """The content as a browser, and then its scripts, come to see it. Linear."""
    text = _CHARSET.sub(b"", data).decode("latin-1")
    plain = html.unescape(text).encode("latin-1", "replace")
    return _IN_STRINGS.sub(_character, plain)


def _character(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return b"/"
    digits = match[2] or match[3] or match[4]
    if digits:
        return bytes((int(digits, 16),))
    return bytes((int(match[5], 8),)) if match[5] else b""
