"""File names of parts: every name that some client may show."""

from __future__ import annotations

import re
import unicodedata

from attrs import frozen

from mailward.mime.parameters import Parameters

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_TRAILING = re.compile(r"[\s/.]+\Z")
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
    text = _TRAILING.sub("", text.replace("\\", "/"))
    return text.rpartition("/")[2].lstrip()


def visible(raw: str) -> str:
    """A name fit for a path of parts: no invisible characters, "/" and "%" escaped, at most 255 characters."""
    text = _INVISIBLE.sub("", raw).strip()[:_LONGEST]
    return text.replace("%", "%25").replace("/", "%2F")


def names_of(disposition: Parameters, content_type: Parameters) -> tuple[Name, ...]:
    """All names of a part in the order in which clients prefer them (RFC 2183, RFC 2231, RFC 2047 in parameters)."""
    found = list[Name]()
    for field, parameters, name in (
        ("content-disposition", disposition, "filename"),
        ("content-type", content_type, "name"),
    ):
        if parameters.items:
            found += [
                Name(normalise(reading.text), reading.text, f"{field} {reading.source}")
                for reading in parameters.readings(name)
            ]
    return tuple(found)


def member_name(raw: str, source: str) -> tuple[Name, ...]:
    """The one name of a container's member or of a uuencode block, none where it is empty."""
    return (Name(normalise(raw), raw, source),) if raw else ()
