"""Names of streams in Windows Installer databases: two characters of base 64 packed into one of U+3800..U+4840."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
_TABLE_MARK = 0x4840


def stream_name(name: str) -> str:
    """The name of a stream, unpacked where the installer packed it."""
    if not any(0x3800 <= ord(character) <= _TABLE_MARK for character in name):
        return name
    found = []
    for character in name:
        code = ord(character) - 0x3800
        if 0 <= code < 0x1000:
            found += [_ALPHABET[code & 0x3F], _ALPHABET[code >> 6]]
        elif 0x1000 <= code < 0x1040:
            found.append(_ALPHABET[code - 0x1000])
        elif code + 0x3800 == _TABLE_MARK:
            found.append("!")
        else:
            found.append(character)
    return "".join(found)
