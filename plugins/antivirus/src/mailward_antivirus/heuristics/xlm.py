"""Excel workbooks in the older binary form (BIFF8): Excel 4 macros and DDE links (MS-XLS)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from mailward_antivirus.heuristics.trait import Traits, trait

_MAX_STREAM = 4 * 1024 * 1024
_MAX_RECORDS = 200_000
_BOUNDSHEET, _FORMULA, _SUPBOOK, _BOF = 0x85, 0x06, 0x1AE, 0x809
_NOUGHT = b"\x1e\0\0"
_LABELS = (0x18, 0x218)
_BUILT_IN = {1: "Auto_Open", 2: "Auto_Close", 0xA: "Auto_Activate", 0xB: "Auto_Deactivate"}
_RUNS_BY_ITSELF = re.compile(r"auto_?(?:open|close|activate|deactivate)", re.I)
_FUNCTIONS = {
    0x6E: "EXEC",
    0x96: "CALL",
    0x95: "REGISTER",
    0x84: "FOPEN",
    0x88: "FWRITE",
    0x89: "FWRITELN",
    0x11: "RUN",
}
_VARIABLE, _FIXED = (0x22, 0x42, 0x62), (0x21, 0x41, 0x61)
_DDE_SEPARATOR = "\x03"


def inspect_workbook(ole: Any) -> Traits:
    """Macro sheets, names that run by themselves, functions that start programs, DDE links of an open OLE file."""
    stream = _workbook(ole)
    if stream is None:
        return
    sheets: list[tuple[str, bool]] = []
    places: set[int] = set()
    names: list[str] = []
    calls = dde = ""
    in_macros = acts = False
    for place, kind, body in _records(stream):
        if kind == _BOUNDSHEET and len(body) > 7 and body[5] == 1:
            sheets.append((_name(body[7], body[8:]), bool(body[4] & 3)))
            places.add(struct.unpack_from("<I", body)[0])
        elif kind == _BOF:
            in_macros = place in places
        elif kind in _LABELS and len(body) > 15:
            names.append(_BUILT_IN.get(body[15], "") if body[0] & 0x20 else body[14 : 15 + body[3]].decode("latin-1"))
        elif kind == _FORMULA and in_macros:
            tokens = body[22 : 22 + struct.unpack_from("<H", body, 20)[0]] if len(body) > 22 else b""
            acts = acts or (bool(tokens) and tokens != _NOUGHT)
            calls = calls or _call(tokens)
        elif kind == _SUPBOOK and not dde:
            dde = _dde_link(body)
    if dde:
        yield trait("dde", dde)
    if not acts:
        return
    yield trait("xlm_macro", ", ".join(name for name, _ in sheets))
    if any(hidden for _, hidden in sheets):
        yield trait("xlm_hidden", ", ".join(name for name, hidden in sheets if hidden))
    if _RUNS_BY_ITSELF.search(" ".join(names)):
        yield trait("xlm_starts", " ".join(filter(None, names)))
    if calls:
        yield trait("xlm_runs", calls)


def _workbook(ole: Any) -> bytes | None:
    try:
        for name in ("Workbook", "Book"):
            if ole.exists(name):
                stream: bytes = ole.openstream(name).read(_MAX_STREAM)
                return stream
    except Exception:  # a library reading hostile content; who looks at its streams tells of it
        return None
    return None


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Place, kind and body of each record."""
    place = 0
    for _ in range(_MAX_RECORDS):
        if place + 4 > len(stream):
            return
        kind, length = struct.unpack_from("<HH", stream, place)
        yield place, kind, stream[place + 4 : place + 4 + length]
        place += 4 + length


def _name(wide: int, raw: bytes) -> str:
    return raw.decode("utf-16-le" if wide & 1 else "latin-1", "replace")


def _call(tokens: bytes) -> str:
    """The first function in a formula that starts programs, calls libraries or writes files."""
    for place in range(len(tokens) - 3):
        if tokens[place] in _VARIABLE:
            number = struct.unpack_from("<H", tokens, place + 2)[0] & 0x7FFF
        elif tokens[place] in _FIXED:
            number = struct.unpack_from("<H", tokens, place + 1)[0]
        else:
            continue
        if number in _FUNCTIONS:
            return _FUNCTIONS[number]
    return ""


def _dde_link(body: bytes) -> str:
    if len(body) < 6:
        return ""
    path = _name(body[4], body[5:])
    return path if _DDE_SEPARATOR in path else ""
