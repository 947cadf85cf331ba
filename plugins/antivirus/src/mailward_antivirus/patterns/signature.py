"""A line of an .ndb file: ``name:target:offset:body``, with ClamAV's functionality levels after it."""

from __future__ import annotations

import re
from enum import StrEnum

from attrs import frozen

from mailward_antivirus.patterns.body import Body, PatternError, Unsupported
from mailward_antivirus.patterns.body import parse as parse_body

FORM = "name:target:offset:body"
_LEVELS = re.compile(r"\d{1,9}")
_OFFSET = re.compile(
    r"(?P<any>\*)|EOF-(?P<end>\d{1,12})|EP(?P<entry>[+-]\d{1,12})|S(?P<section>\d{1,5}|L)\+(?P<within>\d{1,12})"
    r"|SE(?P<whole>\d{1,5}|L)|(?P<start>\d{1,12})"
)

TARGETS: dict[int, str] = {
    0: "",
    1: "application/x-dosexec",
    2: "application/x-ole-storage",
    5: "image/",
    6: "application/x-elf",
    9: "application/x-mach-binary",
    10: "application/pdf",
    12: "application/java-vm",
}
"""Target → how the detected type of a part begins that it is meant for; empty: all.

ClamAV matches the others (3 HTML, 4 mail, 7 text, 11 Flash, 13 and 14 internal) on forms of its own
making, so they belong to clamd; here they are counted as not supported.
"""


class Base(StrEnum):
    """What an offset is counted from."""

    ANY = "any"
    START = "start"
    END = "end"
    ENTRY = "entry"
    SECTION = "section"
    WITHIN = "within"


@frozen
class Offset:
    """Where a signature begins: ``number`` bytes from ``base``, up to ``shift`` more. ``section`` -1: the last."""

    base: Base = Base.ANY
    number: int = 0
    shift: int = 0
    section: int = 0


@frozen(eq=False)
class Signature:
    """One signature; ``bodies`` are its variants, any of which is enough."""

    name: str
    kind: str
    offset: Offset
    bodies: tuple[Body, ...]


def parse_line(line: str) -> Signature:
    """The signature in ``line``. Raises Unsupported, or PatternError where it is none."""
    fields = line.split(":")
    if not 4 <= len(fields) <= 6 or not fields[0].strip() or not all(map(_LEVELS.fullmatch, fields[4:])):
        raise PatternError(f"{line[:100]!r} is no signature; allowed: {FORM}")
    name, target, offset, body = fields[:4]
    if not target.isdecimal() or not target.isascii() or len(target) > 3:
        raise PatternError(f"target {target[:20]!r} is no number; allowed: 0 to 14")
    if int(target) not in TARGETS:
        raise Unsupported(f"target {int(target)}")
    return Signature(name.strip(), TARGETS[int(target)], parse_offset(offset), parse_body(body))


def parse_offset(text: str) -> Offset:
    """The offset ``text`` stands for, such as ``0``, ``EOF-40,20`` or ``EP+0``. Raises Unsupported, PatternError."""
    place, comma, shift = text.partition(",")
    if place == "VI":
        raise Unsupported("offset VI")
    match = _OFFSET.fullmatch(place)
    if match is None or (comma and not _LEVELS.fullmatch(shift)):
        raise PatternError(f"offset {text[:30]!r} is not known; allowed: *, n, EOF-n, EP+n, EP-n, Sx+n, SL+n, SEx")
    more = int(shift) if comma else 0
    if match["any"]:
        return Offset()
    if match["end"]:
        return Offset(Base.END, int(match["end"]), more)
    if match["entry"]:
        return Offset(Base.ENTRY, int(match["entry"]), more)
    if match["section"]:
        return Offset(Base.SECTION, int(match["within"]), more, _section(match["section"]))
    if match["whole"]:
        return Offset(Base.WITHIN, 0, more, _section(match["whole"]))
    return Offset(Base.START, int(match["start"]), more)


def _section(text: str) -> int:
    return -1 if text == "L" else int(text)
