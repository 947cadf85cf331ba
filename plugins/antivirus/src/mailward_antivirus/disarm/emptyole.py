"""An OLE file with nothing in it (MS-CFB): what stands in for an embedded object."""

from __future__ import annotations

import struct

_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


def _empty_ole() -> bytes:
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(0, 1, 1, 0, 4096, _END, 0, _END, 0, 0),
    )
    header += struct.pack("<108I", *([_FREE] * 108))
    root = "Root Entry\0".encode("utf-16-le")
    entry = struct.pack("<64sHBBIII16xI16xIQ", root, len(root), 5, 1, _NONE, _NONE, _NONE, 0, _END, 0)
    unused = struct.pack("<64sHBBIII16xI16xIQ", b"", 0, 0, 0, _NONE, _NONE, _NONE, 0, 0, 0)
    fat = struct.pack("<128I", _FAT, _END, *([_FREE] * 126))
    return header + fat + entry + unused * 3


EMPTY_OLE = _empty_ole()
"""512 bytes of header, one sector of allocation table, one of directory."""
