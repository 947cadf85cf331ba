"""Office documents of the older kind (OLE files): macros, embedded packages, DDE fields, Excel 4 macros.

The file keeps its length. Storages of macros leave the directory, and their streams are overwritten; packages
are overwritten where they stand; instructions and formulas that act are blanked.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any, cast

import olefile

from mailward_antivirus.disarm.biff import disarm_records
from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed

MAX_BYTES = 100 * 1024 * 1024
_MACRO_STORAGES = frozenset(["macros", "_vba_project_cur", "vba", "_vba_project"])
_PACKAGES = frozenset(["\x01Ole10Native", "Equation Native", "EquationNative"])
_FIELD = re.compile(rb"\x13([^\x13-\x15]{1,2000})[\x14\x15]")
_WIDE_FIELD = re.compile(rb"\x13\0((?:[^\x13-\x15]\0){1,1000})[\x14\x15]\0")
_DDE = re.compile(rb"\s*dde(?:auto)?[\s\"'\\]", re.I)
_ENTRY_BYTES = 128
_NO_SID = 0xFFFFFFFF
_BLACK = 1


def disarm_ole(content: bytes) -> Disarmed:
    """The document without what is active in it. Raises CannotDisarm."""
    if len(content) > MAX_BYTES:
        raise CannotDisarm("too large")
    file = io.BytesIO(bytearray(content))
    try:
        with cast(Any, olefile.OleFileIO(file, write_mode=True)) as ole:
            if ole.exists("EncryptedPackage"):
                raise CannotDisarm("encrypted")
            if ole.exists("PowerPoint Document"):
                raise CannotDisarm("presentations of the older kind keep what is active in a packed form")
            removed = [*_macros(ole), *_packages(ole), *_word(ole), *_workbook(ole)]
            return Disarmed(_bytes_of(ole), tuple(dict.fromkeys(removed)))
    except CannotDisarm:
        raise
    except Exception as error:  # a library that works on hostile content
        raise CannotDisarm(f"damaged: {type(error).__name__}") from error


def _bytes_of(ole: Any) -> bytes:
    ole.fp.seek(0)
    return bytes(ole.fp.read())


def _overwrite(ole: Any, path: list[str], data: bytes | None = None) -> None:
    ole.write_stream(path, bytes(ole.get_size(path)) if data is None else data)


def _macros(ole: Any) -> list[str]:
    doomed = [path for path in ole.listdir(streams=False, storages=True) if path[-1].lower() in _MACRO_STORAGES]
    outermost = [path for path in doomed if not any(path[: len(other)] == other for other in doomed if other != path)]
    for storage in outermost:
        for path in ole.listdir(streams=True, storages=False):
            if path[: len(storage)] == storage:
                _overwrite(ole, path)
        _unlink(ole, storage)
    return ["macros"] if outermost else []


def _unlink(ole: Any, storage: list[str]) -> None:
    """Take a storage out of the directory: its siblings become a balanced tree without it."""
    parent = ole.root
    for name in storage[:-1]:
        parent = next(kid for kid in parent.kids if kid.name.lower() == name.lower())
    doomed = next(kid for kid in parent.kids if kid.name.lower() == storage[-1].lower())
    left = [kid for kid in parent.kids if kid is not doomed]
    left.sort(key=lambda kid: (len(kid.name), kid.name.upper()))
    child = _balanced(ole, left, 0, len(left))
    _patch(ole, parent.sid, 76, struct.pack("<I", child))
    for entry in _subtree(doomed):
        _patch(ole, entry.sid, 0, bytes(66) + b"\0\0" + struct.pack("<III", _NO_SID, _NO_SID, _NO_SID) + bytes(48))
    parent.kids = left


def _subtree(entry: Any) -> list[Any]:
    found = [entry]
    for one in found:
        found.extend(one.kids)
    return found


def _balanced(ole: Any, kids: list[Any], start: int, end: int) -> int:
    if start >= end:
        return _NO_SID
    middle = (start + end) // 2
    left, right = _balanced(ole, kids, start, middle), _balanced(ole, kids, middle + 1, end)
    _patch(ole, kids[middle].sid, 67, struct.pack("<BII", _BLACK, left, right))
    return int(kids[middle].sid)


def _patch(ole: Any, sid: int, offset: int, data: bytes) -> None:
    """Overwrite bytes of a directory entry."""
    sector = ole.first_dir_sector
    place = sid * _ENTRY_BYTES + offset
    for _ in range(place // ole.sector_size):
        sector = ole.fat[sector]
    ole.fp.seek((sector + 1) * ole.sector_size + place % ole.sector_size)
    ole.fp.write(data)


def _packages(ole: Any) -> list[str]:
    found = [path for path in ole.listdir(streams=True, storages=False) if path[-1] in _PACKAGES]
    for path in found:
        _overwrite(ole, path)
    return ["embedded objects"] if found else []


def _word(ole: Any) -> list[str]:
    if not ole.exists("WordDocument"):
        return []
    stream = ole.openstream("WordDocument").read()
    text = bytearray(stream)
    for pattern, wide in ((_FIELD, False), (_WIDE_FIELD, True)):
        for field in pattern.finditer(stream):
            instruction = field[1][::2] if wide else field[1]
            if _DDE.match(instruction + b" "):
                start, end = field.span(1)
                text[start:end] = (b" \0" if wide else b" ") * ((end - start) // (2 if wide else 1))
    if text == stream:
        return []
    _overwrite(ole, ["WordDocument"], bytes(text))
    return ["fields that start programs (DDE)"]


def _workbook(ole: Any) -> list[str]:
    name = next((name for name in ("Workbook", "Book") if ole.exists(name)), "")
    if not name:
        return []
    stream = bytearray(ole.openstream(name).read())
    before = bytes(stream)
    acted = disarm_records(stream)
    if stream != before:
        _overwrite(ole, [name], bytes(stream))
    return acted
