"""Archives and other files by their first bytes: where one begins in or behind other content, what one is called."""

from __future__ import annotations

import re

from mailward_archives.buffer import Data

_ARCHIVE = re.compile(
    rb"PK\x03\x04|Rar!\x1a\x07(?:\0|\x01\0)|7z\xbc\xaf\x27\x1c|MSCF\0\0\0\0|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    rb"|BZh[1-9]1AY&SY|\xfd7zXZ\0"
)
_EXTENSIONS = {b"PK": "zip", b"Ra": "rar", b"7z": "7z", b"MS": "cab", b"\xd0\xcf": "msi", b"BZ": "bz2", b"\xfd7": "xz"}

_KINDS = (
    (b"MZ", ".exe"),
    (b"PK\x03\x04", ".zip"),
    (b"\xd0\xcf\x11\xe0", ".ole"),
    (b"%PDF", ".pdf"),
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"Rar!", ".rar"),
    (b"7z\xbc\xaf", ".7z"),
    (b"{\\rt", ".rtf"),
    (b"ActiveMime", ".mso"),
)


def extension(head: bytes) -> str:
    """The extension of a content without a name, by its first bytes; empty where they do not tell."""
    return next((found for magic, found in _KINDS if head.startswith(magic)), "")


def archive(data: Data, start: int) -> tuple[int, str] | None:
    """Where an archive begins, and its extension; looked for from ``start`` on."""
    match = _ARCHIVE.search(data, start)
    return None if match is None else (match.start(), _EXTENSIONS[match[0][:2]])
