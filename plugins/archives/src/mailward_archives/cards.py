"""Files in calendars and cards: ``ATTACH``, ``PHOTO`` and others in base64 (RFC 5545 3.8.1.1, RFC 2426, RFC 6350)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.blobs import decoded, uris
from mailward_archives.buffer import Data
from mailward_archives.content import limit
from mailward_archives.signatures import extension

_TYPES = ("text/calendar", "text/x-vcalendar", "text/vcard", "text/x-vcard", "text/directory")
_NAMES = (".ics", ".ical", ".ifb", ".vcs", ".vcf", ".vcard")
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*+BEGIN:V(?:CALENDAR|CARD)", re.I)
_FOLD = re.compile(rb"\r?\n[ \t]")
_PROPERTY = re.compile(
    rb"^([A-Za-z0-9.-]{1,64})((?>;(?>\"[^\"\r\n]*+\"|[^\":;\r\n])*+)++):"
    # The older cards do not indent what goes on in the next line.
    rb"([^\r\n]*+(?>\r?\n[A-Za-z0-9+/=]++(?=\r?\n|\Z))*+)",
    re.M,
)
_LINE = re.compile(rb"^([A-Za-z0-9.-]{1,64}):(data:[^\r\n]*+)", re.M | re.I)
_BINARY = re.compile(rb";(?:ENCODING\s*=\s*\"?)?(?:BASE64|B)\"?(?=;|\Z)|;VALUE\s*=\s*\"?BINARY", re.I)
_NAME = re.compile(rb";(?:X-[A-Z-]{0,30}?)?(?:FILENAME|LABEL)\s*+=\s*+(?:\"([^\"]*+)\"|([^;]*+))", re.I)
_MOST_FILES = 500
_HEAD_BYTES = 16


def is_card(part: Part) -> bool:
    """Whether a part is a calendar or a card: by declared type, name or first line."""
    if part.declared_type in _TYPES or part.is_named(_NAMES):
        return True
    return not part.detected_type and _BEGIN.match(part.head(64)) is not None


def unpack_card(part: Part, data: Data) -> Iterator[Member | Finding]:
    """A member for each file in the values of properties."""
    for number, (name, content) in enumerate(_files(_FOLD.sub(b"", data)), 1):
        if number > _MOST_FILES:
            yield limit(part, "max_files", f"more than {_MOST_FILES} files in a calendar or card")
            return
        yield Member(name or f"attached{number}{extension(content[:_HEAD_BYTES])}", (content,))


def _files(text: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _PROPERTY.finditer(text):
        if _BINARY.search(match[2]):
            yield _name(match[2]), decoded(match[3])
        else:
            yield from ((_name(match[2]), blob.content) for blob in uris(match[3]))
    for line in _LINE.finditer(text):
        yield from (("", blob.content) for blob in uris(line[2]))


def _name(parameters: bytes) -> str:
    match = _NAME.search(parameters)
    return (match[1] or match[2] or b"").decode("utf-8", "replace").strip() if match else ""
