"""Manners: the ways in which mail clients read what the standards forbid or leave open."""

from __future__ import annotations

import re
from enum import StrEnum

from attrs import frozen


@frozen(slots=True, eq=False)
class Lines:
    """What ends a line of a header and of a delimiter, as patterns.

    ``blank`` finds the end of a header (group 1: the end of its last line), ``first`` matches a blank
    line at the beginning, ``field`` one header field (groups: all of it, name, value), ``ending`` one
    line end, ``rest`` what may follow a boundary on its line (group 1: the dashes of the end delimiter).
    """

    blank: re.Pattern[bytes]
    first: re.Pattern[bytes]
    field: re.Pattern[bytes]
    ending: re.Pattern[bytes]
    rest: re.Pattern[bytes]
    before: tuple[bytes, ...]


_LF_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:([^\n]*+(?>\n[ \t][^\n]*+)*+)(?:\n|\Z))", re.M)
_LF_REST = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")
LF = Lines(
    blank=re.compile(rb"(\n)\r?\n"),
    first=re.compile(rb"\r?\n"),
    field=_LF_FIELD,
    ending=re.compile(rb"\n"),
    rest=_LF_REST,
    before=(b"\n",),
)
"""Lines end at LF, a CR before it belongs to the line end: what most programs do."""
CRLF_ALONE = Lines(
    blank=re.compile(rb"(\r\n)\r\n"),
    first=re.compile(rb"\r\n"),
    field=re.compile(
        rb"(?:\A|(?<=\r\n))(([!-9;-~]++)[ \t]*+:"
        rb"((?>[^\r]++|\r(?!\n))*+(?>\r\n[ \t](?>[^\r]++|\r(?!\n))*+)*+)(?:\r\n|\Z))"
    ),
    ending=re.compile(rb"\r\n"),
    rest=re.compile(rb"(--)?[ \t]*+(?:\r\n|\Z)"),
    before=(b"\r\n",),
)
"""Only CRLF ends a line, as RFC 5322 section 2.3 has it."""
ANY_BREAK = Lines(
    blank=re.compile(rb"((?>\r\n|\r|\n))(?>\r\n|\r|\n)"),
    first=re.compile(rb"\r\n|\r|\n"),
    field=re.compile(
        rb"(?:\A|(?<=[\r\n]))(([!-9;-~]++)[ \t]*+:"
        rb"([^\r\n]*+(?>(?>\r\n|\r|\n)[ \t][^\r\n]*+)*+)(?:\r\n|\r|\n|\Z))"
    ),
    ending=re.compile(rb"\r\n|\r|\n"),
    rest=re.compile(rb"(--)?[ \t]*+(?:\r\n|\r|\n|\Z)"),
    before=(b"\r", b"\n"),
)
"""CR alone ends a line as well."""
BLANKS_END = Lines(
    blank=re.compile(rb"(\n)[ \t]*+\r?\n"),
    first=re.compile(rb"[ \t]*+\r?\n"),
    field=_LF_FIELD,
    ending=LF.ending,
    rest=_LF_REST,
    before=LF.before,
)
"""A line of blanks ends a header, as an empty line does."""
BLANK_NAMES = Lines(
    blank=LF.blank,
    first=LF.first,
    field=re.compile(
        rb"^([\x0b\x0c\xa0]*+([!-9;-~]++)[ \t\x0b\x0c\xa0]*+:([^\n]*+(?>\n[ \t][^\n]*+)*+)(?:\n|\Z))", re.M
    ),
    ending=LF.ending,
    rest=_LF_REST,
    before=LF.before,
)
"""Blanks of any kind around the name of a field are no part of it."""
LOOSE_DELIMITERS = Lines(
    blank=LF.blank,
    first=LF.first,
    field=_LF_FIELD,
    ending=LF.ending,
    rest=re.compile(rb"(--)?[^\n]*+(?:\n|\Z)"),
    before=LF.before,
)
"""Whatever follows a boundary on its line, the line is a delimiter."""


class Pick(StrEnum):
    """Which of several boundaries of a multipart counts."""

    FIRST = "first"
    LAST = "last"
    EXTENDED = "extended"
    TOKEN = "token"
    QUOTED = "quoted"
    GUESSED = "guessed"
    UNCOMMENTED = "uncommented"
    BARE = "bare"
    JOINED = "joined"
    UNCODED = "uncoded"
    FOUND = "found"
    CUT = "cut"


class Transfer(StrEnum):
    """Which transfer encoding counts."""

    DECLARED = "declared"
    EVERYWHERE = "everywhere"
    NOWHERE = "nowhere"
    NAMED = "named"


class Damage(StrEnum):
    """How damaged base64 is read: junk skipped and every padding the end of a group, or otherwise."""

    SKIPPED = "skipped"
    STOPS_PADDED = "stops-padded"
    STOPS_JUNK = "stops-junk"
    UNPADDED = "unpadded"
    URL = "url"


@frozen(slots=True)
class Manner:
    """One way of reading. ``name`` is `Part.reading`, empty for the main one.

    ``last_field``: the last of several fields counts. ``most_junk_lines``: how many lines that are no
    fields, one after the other, a header may hold. ``late_header``: a header may begin after blank
    lines. ``damage``: where base64 ends, and which characters of it count.
    """

    name: str = ""
    last_field: bool = False
    boundary: Pick = Pick.FIRST
    lines: Lines = LF
    transfer: Transfer = Transfer.DECLARED
    most_junk_lines: int = 1
    late_header: bool = False
    damage: Damage = Damage.SKIPPED


MAIN = Manner()
LAST = Manner("last", last_field=True, boundary=Pick.LAST)
LAST_FIELD = Manner("last-field", last_field=True)
LAST_PARAMETER = Manner("last-parameter", boundary=Pick.LAST)
EXTENDED = Manner("extended", boundary=Pick.EXTENDED)
TOKEN = Manner("token", boundary=Pick.TOKEN)
QUOTED = Manner("quoted", boundary=Pick.QUOTED)
GUESSED = Manner("guessed", boundary=Pick.GUESSED)
UNCOMMENTED = Manner("uncommented", boundary=Pick.UNCOMMENTED)
BARE = Manner("bare", boundary=Pick.BARE)
JOINED = Manner("joined", boundary=Pick.JOINED)
UNCODED = Manner("uncoded", boundary=Pick.UNCODED)
FOUND = Manner("found", boundary=Pick.FOUND)
DECODED = Manner("decoded", transfer=Transfer.EVERYWHERE)
UNDECODED = Manner("undecoded", transfer=Transfer.NOWHERE)
NAMED = Manner("named", transfer=Transfer.NAMED)
TO_PADDING = Manner("to-padding", damage=Damage.STOPS_PADDED)
UNPADDED = Manner("unpadded", damage=Damage.UNPADDED)
TO_JUNK = Manner("to-junk", damage=Damage.STOPS_JUNK)
URL_ALPHABET = Manner("url-alphabet", damage=Damage.URL)
CR = Manner("cr", lines=ANY_BREAK)
CRLF = Manner("crlf", lines=CRLF_ALONE)
BLANKS = Manner("blanks", lines=BLANKS_END)
LOOSE = Manner("loose", lines=LOOSE_DELIMITERS)
CUT = Manner("cut", boundary=Pick.CUT, lines=LOOSE_DELIMITERS)
JUNK_SKIPPED = Manner("junk-skipped", most_junk_lines=1 << 30)
TRIMMED = Manner("trimmed", lines=BLANK_NAMES, most_junk_lines=1 << 30)
JUNK_ENDS = Manner("junk-ends", most_junk_lines=0)
LATE = Manner("late", late_header=True)
OUTSIDE = Manner("outside")
"""For the text before and after the parts of a multipart, which clients without MIME show."""
