"""Files in base64 by their name (``.b64``), which archive programs open as they open an archive."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.blobs import decoded
from mailward_archives.buffer import data_of
from mailward_archives.content import limit

_SUFFIX = ".b64"
_WHOLE = re.compile(rb"\s*+(?:-----BEGIN [^\r\n]{0,100}-----\s*+|begin-base64 [^\r\n]{0,500}\s*+)?([A-Za-z0-9+/=\s]++)")
_SMALLEST_BYTES = 4
_MOST_BYTES = 128 * 1024 * 1024


def read_base64_file(part: Part) -> Iterator[Member | Finding] | None:
    """The file that is written so; None where the name or the first characters are others."""
    if not part.is_named(_SUFFIX) or _WHOLE.match(part.head(_SMALLEST_BYTES * 256)) is None:
        return None
    return _members(part)


def _members(part: Part) -> Iterator[Member | Finding]:
    if part.size > _MOST_BYTES:
        yield limit(part, "max_base64", f"base64 of more than {_MOST_BYTES} bytes")
        return
    with data_of(part) as data:
        match = _WHOLE.match(data)
        content = decoded(match[1]) if match is not None else b""
    if content:
        yield Member(part.filename.lower().removesuffix(_SUFFIX) or "content", (content,), raw_bytes=part.size)
