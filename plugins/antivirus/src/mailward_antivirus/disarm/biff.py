"""Workbooks of the older kind (MS-XLS), record by record and in place: Excel 4 macros and DDE links stop acting."""

from __future__ import annotations

import struct

_BOUNDSHEET, _FORMULA, _BOF, _OBPROJ, _EXCEL9FILE, _SUPBOOK = 0x85, 0x06, 0x809, 0xD3, 0x1C0, 0x1AE
_NAMES = (0x18, 0x218)
_FORMULA_HEAD = 20
_NOUGHT = b"\x1e\0\0"
_BUILT_IN = 0x20
_PROCEDURE = 0x0E
_STARTS = frozenset([1, 2, 0xA, 0xB])
_DDE_SEPARATOR = 3


def disarm_records(stream: bytearray) -> list[str]:
    """Change a workbook's stream so that nothing in it acts, keeping its length; what was changed."""
    acted: dict[str, None] = {}
    macro_sheets: set[int] = set()
    in_macros = False
    place = 0
    while place + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, place)
        body = place + 4
        end = min(body + length, len(stream))
        if kind == _BOUNDSHEET and length > 6 and stream[body + 5] == 1:
            macro_sheets.add(struct.unpack_from("<I", stream, body)[0])
        elif kind == _BOF:
            in_macros = place in macro_sheets
        elif kind == _FORMULA and in_macros and _nought(stream, body, end):
            acted["Excel 4 macros"] = None
        elif kind in _NAMES and _unname(stream, body, end):
            acted["names that run macros"] = None
        elif kind == _SUPBOOK and _unlink(stream, body, end):
            acted["links that start programs (DDE)"] = None
        elif kind == _OBPROJ and length == 0:
            # The mark that there are macros becomes a record of the same length that means nothing.
            struct.pack_into("<H", stream, place, _EXCEL9FILE)
        place = body + length
    return list(acted)


def _nought(stream: bytearray, body: int, end: int) -> bool:
    """Make a formula the constant 0."""
    tokens = body + _FORMULA_HEAD + 2
    if end - tokens < len(_NOUGHT):
        return False
    struct.pack_into("<H", stream, body + _FORMULA_HEAD, len(_NOUGHT))
    stream[tokens:end] = _NOUGHT.ljust(end - tokens, b"\0")
    return True


def _unname(stream: bytearray, body: int, end: int) -> bool:
    """Make a name that runs a macro by itself an ordinary one."""
    if end - body < 16:
        return False
    length = stream[body + 3]
    if stream[body] & _BUILT_IN:
        if stream[body + 15] not in _STARTS:
            return False
        stream[body] &= ~(_BUILT_IN | _PROCEDURE) & 0xFF
        stream[body + 15] = ord("X")
        return True
    name = bytes(stream[body + 14 : min(body + 15 + 2 * length, end)])
    place = name.replace(b"\0", b"").lower().find(b"auto_")
    first = name.lower().find(b"a", 0)
    if place < 0 or first < 0:
        return False
    stream[body + 14 + first] = ord("X")
    return True


def _unlink(stream: bytearray, body: int, end: int) -> bool:
    """Take the separator out of a link, without which it names no conversation with a program."""
    path = stream[body + 5 : end]
    if end - body < 6 or _DDE_SEPARATOR not in path:
        return False
    stream[body + 5 : end] = path.replace(bytes([_DDE_SEPARATOR]), b"_")
    return True
