"""The relationships of Office documents, as an XML parser reads them: in any encoding, with any prefix and quotes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from xml.parsers import expat

from attrs import frozen

MAX_RELATIONSHIPS = 5000
_WIDE = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}


@frozen
class Relationship:
    """One relationship: the last word of its ``kind``, its ``target``, and whether that lies ``outside``."""

    kind: str
    target: str
    outside: bool


class _Enough(Exception):
    """No more is read: there are too many, or the document declares types and entities of its own."""


def is_wide(data: bytes) -> bool:
    """Whether the beginning of a document says that it is XML in UTF-16."""
    return data[:2] in _WIDE


def is_markup(head: bytes) -> bool:
    """Whether content begins as XML may: the line that says so can be left out."""
    return narrow(head).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")


def narrow(data: bytes) -> bytes:
    """XML in UTF-16 as UTF-8; anything else as it is."""
    return data.decode(_WIDE[data[:2]], "replace").encode("utf-8", "replace") if is_wide(data) else data


def relationships(data: bytes) -> Iterator[Relationship]:
    """Those of one file, up to `MAX_RELATIONSHIPS`, and up to where it is no XML any more."""
    found: list[Relationship] = []

    def begins(name: str, attributes: dict[str, str]) -> None:
        if len(found) >= MAX_RELATIONSHIPS:
            raise _Enough
        if name.rpartition(":")[2] == "Relationship":
            kind = attributes.get("Type", "").rpartition("/")[2]
            outside = attributes.get("TargetMode", "").lower() == "external"
            found.append(Relationship(kind, attributes.get("Target", ""), outside))

    def declares(*_: Any) -> None:
        raise _Enough

    parser = expat.ParserCreate()
    parser.StartElementHandler = begins
    parser.StartDoctypeDeclHandler = declares
    with suppress(expat.ExpatError, _Enough, ValueError):  # what came before counts
        parser.Parse(data, True)
    yield from found
