"""Mail bases (RFC 4155), mails that no header announced and those of Apple Mail: each is a member ``N.eml``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces

_SEPARATOR = re.compile(rb"^From [^\r\n]{0,998}\r?\n", re.M)
_FIELD = re.compile(rb"[!-9;-~]{1,76}:")
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?(?>[ \t]*+\r?\n)*+")
_APPLE_NAME = ".emlx"
_SIZE_LINE = re.compile(rb"\s*+\d{1,20}[ \t]*+\r?\n")
_SIZE_LINE_BYTES = 256
_QUOTED_ENDINGS = (b"\n\n", b"\n\r\n")


def read_mbox(part: Part) -> Iterator[Member | Finding]:
    """The messages of a mail base, without their ``From`` lines."""
    with data_of(part) as data:
        for number, (start, end) in enumerate(messages(data), 1):
            yield Member(f"{number}.eml", pieces(data, start, end), size_hint=end - start)


def read_mail(part: Part) -> Iterator[Member | Finding] | None:
    """A mail that is attached as another type; None for a text that is shown as it stands."""
    if part.declared_type.startswith("text/") and not part.filename:
        return None
    return read_mbox(part)


def read_emlx(part: Part) -> Iterator[Member] | None:
    """The mail in a file of Apple Mail: a line with its size, the mail, and a property list; None for other content."""
    if not part.is_named(_APPLE_NAME):
        return None
    match = _SIZE_LINE.match(part.head(_SIZE_LINE_BYTES))
    return None if match is None else _sized(part, match.end())


def _sized(part: Part, start: int) -> Iterator[Member]:
    # To the end: what stands behind the size that is stated may be shown too.
    with data_of(part) as data:
        yield Member("1.eml", pieces(data, start, len(data)))


def messages(data: Data) -> Iterator[tuple[int, int]]:
    """Start and end of each message. A separator is a ``From`` line at the start or after an empty line
    that a header field follows. Blank lines and a byte order mark before the first message are passed over.
    """
    before = _BEFORE.match(data)
    start = before.end() if before is not None else 0
    for match in _SEPARATOR.finditer(data):
        at = match.start()
        if at and not data[max(at - 3, 0) : at].endswith(_QUOTED_ENDINGS):
            continue
        if at and not _FIELD.match(data, match.end(), match.end() + 80):
            continue
        if at > start:
            yield start, at
        start = match.end()
    if start < len(data):
        yield start, len(data)
