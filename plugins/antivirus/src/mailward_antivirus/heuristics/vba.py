"""The sources of macros in VBA, read by oletools.

Import this module only where there are macros: the library takes long to load, and is an extra.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from oletools import olevba


class _Parser(olevba.VBA_Parser):  # type: ignore[misc] # ships no type information
    """Reads an OLE file that is open already, where there is one."""

    def __init__(self, name: str, data: bytes, ole: Any) -> None:
        self._opened = ole
        super().__init__(name, data=data)

    def open_ole(self, _file: Any) -> None:
        if self._opened is None:
            super().open_ole(_file)
        else:
            self.ole_file, self.type = self._opened, olevba.TYPE_OLE


def sources(name: str, data: bytes, ole: Any = None) -> Iterator[str]:
    """The source of each module; ``ole`` is ``data`` as an OLE file where that is open, and stays open.

    Raises whatever the library does: it reads hostile content.
    """
    parser = _Parser(name, data, ole)
    try:
        if parser.detect_vba_macros():
            for _, _, _, code in parser.extract_macros():
                yield code.decode("utf-8", "replace") if isinstance(code, bytes) else str(code)
    finally:
        parser.close()
