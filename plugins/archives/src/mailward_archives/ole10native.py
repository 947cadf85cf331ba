r"""Packages: what the object packager wraps around a file that was dropped into a document.

The stream ``\x01Ole10Native`` holds a size (4 bytes) and the package: type (2 bytes, 2 for a file),
label, original path (both end at a zero byte), 4 bytes, the length of a temporary path, that path,
the size of the file, the file (MS-OLEDS leaves it to the packager; described by its readers).
"""

from __future__ import annotations

import struct

from attrs import frozen

from mailward_archives.buffer import Data

_LONGEST_NAME = 4096


@frozen
class Package:
    """The file in a package: its name and where its content lies."""

    name: str
    start: int
    end: int


def parse_package(data: Data, start: int = 0) -> Package | None:
    """The package whose size field stands at ``start``; None where it is none."""
    try:
        (size,) = struct.unpack_from("<I", data, start)
        at = start + 4
        (kind,) = struct.unpack_from("<H", data, at)
        if kind != 2 or size < 14:
            return None
        label, at = _string(data, at + 2)
        path, at = _string(data, at)
        _, length = struct.unpack_from("<II", data, at)
        at += 8
        if length > _LONGEST_NAME:
            return None
        (content_size,) = struct.unpack_from("<I", data, at + length)
    except (struct.error, ValueError):
        return None
    begin = at + length + 4
    end = min(begin + content_size, len(data))
    return Package(label or path or "package", begin, end) if begin <= end else None


def _string(data: Data, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + _LONGEST_NAME)
    if end < 0:
        raise ValueError("a name without end")
    return data[at:end].decode("cp1252", "replace"), end + 1
