"""Mail bases (RFC 4155) and mails that no header announced: each message is a member ``N.eml``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data, data_of, pieces

_SEPARATOR = re.compile(rb"^From [^\r\n]{0,998}\r?\n", re.M)
_FIELD = re.compile(rb"[!-9;-~]{1,76}:")
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?(?>[ \t]*+\r?\n)*+")
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
