"""OneNote sections (MS-ONESTORE 2.6.13): the files that were dropped on a page.

Each stands in an object of its own between two fixed GUIDs. Its name is elsewhere in the section: every
string that looks like a file name is one that a reader may see.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import limit, unopened
from mailward_archives.signatures import extension

_OBJECT = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_SIZE_AT, _CONTENT_AT = 16, 36
_NAME = re.compile(rb"(?:[\x20-\x7e]\x00){1,100}\.\x00(?:[A-Za-z0-9]\x00){1,5}(?=\x00\x00|[^\x00])")
_MOST_FILES = 1000
_MOST_NAMES = 16


def read_onenote(part: Part) -> Iterator[Member | Finding]:
    """The embedded files; the names of the section are other names of each."""
    with data_of(part) as data:
        found = itertools.islice((match[0].decode("utf-16-le") for match in _NAME.finditer(data)), 1000)
        names = tuple(itertools.islice(dict.fromkeys(found), _MOST_NAMES))
        for number, (start, end) in enumerate(files(data), 1):
            if number > _MOST_FILES:
                yield limit(part, "max_files", f"onenote: more than {_MOST_FILES} embedded files")
                return
            name = f"embedded{number}{extension(data[start : start + 16])}"
            yield Member(name, pieces(data, start, end), other_names=names)
            if end > len(data):
                yield unopened(part, "onenote: the file ends too soon", name)


def files(data: Data) -> Iterator[tuple[int, int]]:
    """Start and end of each embedded file, as stated."""
    at = data.find(_OBJECT)
    while at >= 0:
        start = at + _CONTENT_AT
        size = int.from_bytes(data[at + _SIZE_AT : at + _SIZE_AT + 8], "little")
        if size and start <= len(data):
            yield start, start + size
        at = data.find(_OBJECT, min(start + size, max(len(data), start)) if size <= len(data) else start)
