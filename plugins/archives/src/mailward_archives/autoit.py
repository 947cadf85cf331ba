"""AutoIt 3: scripts and installed files inside a compiled script, by autoit-ripper."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data
from mailward_archives.content import reason, unopened

try:
    autoit_ripper: Any = import_module("autoit_ripper")
except ImportError:
    autoit_ripper = None

MARK = b"\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7d"
"""What stands before a compiled script."""

_MOST_BYTES = 32 * 1024 * 1024
_ERRORS = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError, OverflowError, struct.error),
    *(MemoryError, RecursionError, EOFError, AssertionError, UnicodeError),
)


def missing() -> str:
    """What this reader needs and does not stand ready; empty when all is there."""
    return "" if autoit_ripper is not None else "autoit-ripper"


def unpack_script(part: Part, data: Data) -> Iterator[Member | Finding]:
    """Script and files; the library reads them whole, so that a program beyond a size is left unopened."""
    if missing() or len(data) > _MOST_BYTES:
        yield unopened(part, f"autoit: needs {missing()}" if missing() else "autoit: the program is too large")
        return
    try:
        found = autoit_ripper.extract(data[:])
    except _ERRORS as error:
        yield unopened(part, f"autoit: {reason(error)}")
        return
    if not found:
        yield unopened(part, "autoit: the script cannot be read")
    for name, content in found or ():
        yield Member(name, (bytes(content),))
