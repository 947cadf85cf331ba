"""File names of parts: every name that some client may show."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

from attrs import frozen

from mailward.mime.headers import Headers
from mailward.mime.parameters import Parameters, parse_parameters
from mailward.mime.words import decode_header

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff]"
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_END = "/." + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_LIKE_A_NAME = re.compile(r"[^@]+\.\w{1,10}")
_DISPOSITION, _TYPE = "content-disposition", "content-type"
_SWAPPED = {"filename": "name", "name": "filename"}
_STAND_INS = ("content-location", "content-description", "content-id")
MOST_NAMES = 32
"""How many names of a part are looked at."""
_LONGEST = 255
_NORMALISED_AT_MOST = 1024


@frozen(slots=True)
class Name:
    """One name of a part.

    ``raw``: decoded, otherwise as sent, with control and bidirectional characters and directories.
    ``text``: what a mask should look at: the last path component without invisible characters and
    without blanks and dots at its end, NFC. ``source``: where it stood, as ``content-disposition filename*``.
    """

    text: str
    raw: str
    source: str


def normalise(raw: str) -> str:
    """The ``text`` of a `Name`. Masks see ``invoice.exe`` whatever was hidden in or around it."""
    text = _INVISIBLE.sub("", raw)
    if len(text) > _NORMALISED_AT_MOST:
        # Normalising a long run of combining marks takes quadratic time.
        half = _NORMALISED_AT_MOST // 2
        text = text[:half] + text[-half:]
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.replace("\\", "/").rstrip(_END)
    return text.rpartition("/")[2].lstrip()


def visible(raw: str) -> str:
    """A name fit for a path of parts: no invisible characters, "/" and "%" escaped, at most 255 characters."""
    text = _INVISIBLE.sub("", raw).strip()[:_LONGEST]
    return text.replace("%", "%25").replace("/", "%2F")


def names_of(headers: Headers, disposition: Parameters, content_type: Parameters) -> tuple[Name, ...]:
    """All names of a part in the order in which clients prefer them (RFC 2183, RFC 2231, RFC 2047 in parameters).

    The parameters are those of the fields that count; further fields of these names come after them.
    ``name`` in Content-Disposition and ``filename`` in Content-Type count for some clients too.
    """
    places = [(_DISPOSITION, disposition, "filename"), (_TYPE, content_type, "name")]
    if headers.repeats:
        places += [(_DISPOSITION, parse_parameters(raw), "filename") for raw in headers.raws(_DISPOSITION)[1:]]
        places += [(_TYPE, parse_parameters(raw), "name") for raw in headers.raws(_TYPE)[1:]]
    places = [place for place in places if _has_name(place[1])]
    found = dict[Name, None]()
    for swapped in (False, True) if places else ():
        for field, parameters, name in places:
            wanted = _SWAPPED[name] if swapped else name
            for reading in itertools.islice(parameters.readings(wanted), MOST_NAMES):
                found[Name(normalise(reading.text), reading.text, f"{field} {reading.source}")] = None
        if len(found) >= MOST_NAMES:
            break
    return tuple(itertools.islice(found, MOST_NAMES)) or _stand_ins(headers)


def _has_name(parameters: Parameters) -> bool:
    return any("name" in item.name for item in parameters.items)


def _stand_ins(headers: Headers) -> tuple[Name, ...]:
    """Names that some clients show where no field gives one: other fields whose value looks like a file name."""
    found = list[Name]()
    for field in _STAND_INS:
        value = headers.raw(field)
        if not value:
            continue
        raw = decode_header(value)
        if field == "content-location":
            path = raw.partition("?")[0].partition("#")[0].partition("://")
            raw = unquote(path[2].partition("/")[2] if path[1] else path[0])
        elif field == "content-id":
            raw = raw.strip("<>").partition("@")[0]
        text = normalise(raw)
        if _LIKE_A_NAME.fullmatch(text):
            found.append(Name(text, raw, field))
    return tuple(found)


def subject_name(subject: str) -> tuple[Name, ...]:
    """The name under which clients show an attached mail that has none: its subject."""
    raw = f"{subject.strip()}.eml"
    return (Name(normalise(raw), raw, "subject"),) if subject.strip() else ()


def hazards(names: Iterable[Name]) -> set[str]:
    """Rules of what makes the raw names look other than they are: ``name_bidi``, ``name_control``."""
    found = set[str]()
    for name in names:
        if not name.raw.isprintable():
            if _BIDI.search(name.raw):
                found.add("name_bidi")
            if _CONTROL.search(name.raw):
                found.add("name_control")
    return found


def member_name(raw: str, source: str) -> tuple[Name, ...]:
    """The one name of a container's member or of a uuencode block, none where it is empty."""
    return (Name(normalise(raw), raw, source),) if raw else ()
