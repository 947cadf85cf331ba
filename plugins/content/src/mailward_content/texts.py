"""The texts of a message that rules look into, by where they stand (SMS-RULE-05)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from html import unescape

from attrs import frozen

from mailward import Message, Part, PartKind
from mailward_content.file_types import is_object

BULK_CHARS = 4 * 1024 * 1024
"""Longer texts are worked on without holding all their pieces."""

_SNIFFED_BYTES = 4096
_XML_TYPES = ("application/xml", "text/xml", "image/svg+xml")
_MARKED_UP_NAMES = (".htm", ".html", ".xhtml", ".shtml", ".xml", ".svg")
_TEXT_TYPES = (*_XML_TYPES, "application/pgp", "application/mbox")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Controls that are no white space, and what Unicode says may be ignored in display (Default_Ignorable_Code_Point)
# but for what shows as a blank.
_LATIN1_INVISIBLE = "".join(map(chr, (*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0), 0xAD)))
_SHOWN_ASCII = bytes(code for code in range(0x80) if chr(code) not in _LATIN1_INVISIBLE)
_INVISIBLE = re.compile(
    f"[{re.escape(_LATIN1_INVISIBLE)}\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# Where tags, comments and scripts end is what the HTML standard says, section 13.2.5, or text would be hidden from us
# and shown to the reader: in an attribute's quotes a ">" ends nothing, a comment may end at once (``<!-->``) or with
# ``--!>``, the end tag of a script may have attributes. An end that is missing is the end of the text, so that no
# start is looked at twice: linear in any text.
_BLANK = r"\t\n\f\r "
_VALUE = rf"\"[^\"]*+\"|'[^']*+'|[^{_BLANK}>\"'][^{_BLANK}>]*+"
_ATTRIBUTES = (
    rf"(?>[{_BLANK}/]++|(?:=[^{_BLANK}/>=]*+|[^{_BLANK}/>=]++)(?>[{_BLANK}]*+=[{_BLANK}]*+(?>{_VALUE})?+)?+)*+(?:>|\Z)"
)
_NAMED = rf"(?=[{_BLANK}/>]|\Z){_ATTRIBUTES}"
# One pass, in which what begins first counts: a tag within a comment or another tag is none.
_MARKUP = re.compile(
    rf"</?(?!(?:script|style|template)[{_BLANK}/>])([A-Za-z][^{_BLANK}/>]*+){_ATTRIBUTES}"
    r"|<!--(?:-?>|.*?(?:--!?>|\Z))|<!\[CDATA\["
    rf"|<(script|style|template){_NAMED}.*?(?:</\2{_NAMED}|\Z)"
    rf"|</[A-Za-z]{_ATTRIBUTES}|<[!?/][^>]*+(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_CDATA = "<![CDATA["
_BREAKING = """
    p div br hr li ul ol dl dt dd td th tr table caption h1 h2 h3 h4 h5 h6 title option select textarea button label
    blockquote pre section article header footer main nav aside address center form fieldset legend iframe img
    w:p w:br w:tab w:cr a:p a:br si row c v text:p text:h text:tab text:s text:line-break table:table-cell
"""
"""Elements of HTML, and paragraphs, breaks and cells of office documents, that part words."""
_BREAKS = frozenset(_BREAKING.split())
_HIDDEN = re.compile(
    r"<([a-z][a-z0-9]*)(?=[\s/][^<>]*(?:\bhidden\b|display\s*:\s*none|font-size\s*:\s*0))[^<>]*>.*?(?:</\1(?:[\s/][^>]*)?(?:>|\Z)|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_HIDING = tuple(map(re.compile, ("hidden", r"display\s*:\s*none", r"font-size\s*:\s*0")))
"""Signs of an element that `_HIDDEN` finds, in lower case."""


class Place(StrEnum):
    """Where a rule looks."""

    BODY = "body"
    SUBJECT = "subject"
    HEADERS = "headers"
    ATTACHMENTS = "attachments"
    MARKUP = "markup"


@frozen
class Text:
    """One text, as it is shown: where it stands, and the part that it is of (None: the message's header).

    ``left_out``: this text was to be looked at, and is not, for there is too much of it.
    """

    place: Place
    part: Part | None
    text: str
    left_out: bool = False


def texts_of(message: Message, places: Iterable[Place], max_bytes: int) -> Iterator[Text]:
    """Every text of ``message`` in ``places``, those of the header first; nothing else is decoded.

    Of parts no more than ``max_bytes`` in all: the first one beyond that is told as left out, and is the last.
    """
    wanted = frozenset(places)
    if Place.SUBJECT in wanted:
        for subject in message.headers.all("subject"):
            yield Text(Place.SUBJECT, None, visible(subject))
    if Place.HEADERS in wanted:
        fields = (f"{field.name}: {field.value}" for field in message.headers)
        yield Text(Place.HEADERS, None, visible("\n".join(fields)))
    if not wanted & {Place.BODY, Place.ATTACHMENTS, Place.MARKUP}:
        return
    for part in message.walk():
        for text in _of_part(part, wanted, max_bytes):
            yield text
            if text.left_out:
                return
            max_bytes -= part.size


def _of_part(part: Part, wanted: frozenset[Place], max_bytes: int) -> Iterator[Text]:
    if not is_object(part) or part.opaque:
        return
    place = Place.BODY if is_body(part) else Place.ATTACHMENTS
    marked = Place.MARKUP in wanted and place is Place.BODY
    if (place not in wanted and not marked) or not is_text(part):
        return
    if part.size > max_bytes:
        yield Text(place, part, "", left_out=True)
        return
    text = part.text
    is_marked_up = _is_marked_up(part)
    if place in wanted:
        for form in _forms(part, text, is_marked_up):
            yield Text(place, part, visible(form))
    if marked and is_marked_up:
        yield Text(Place.MARKUP, part, text)


def _forms(part: Part, text: str, is_marked_up: bool) -> Iterator[str]:
    """What readers see of a text: as markup, as it is written, or either, where types and names disagree."""
    if not is_marked_up:
        yield text
    if is_marked_up or part.is_named(_MARKED_UP_NAMES):
        yield shown(text)
        if _CDATA in text:
            # in HTML it begins a comment up to the next ">", unless it stands in SVG
            yield shown(text.replace(_CDATA, "<!"))
        if _may_hide(text) and _HIDDEN.search(text) is not None:
            # letters that are not shown may stand within a word; what is hidden by a lie is in the first form
            yield shown(_put("", _HIDDEN, text))


def _may_hide(markup: str) -> bool:
    """Whether anything stands in ``markup`` that hides elements: a tenth of the time of looking at each of them."""
    folded = markup.lower()
    return any(sign.search(folded) is not None for sign in _HIDING)


def is_body(part: Part) -> bool:
    """Whether a part is a text that is shown with its message, of a forwarded message too."""
    return (
        part.kind is PartKind.LEAF
        and part.declared_type.startswith("text/")
        and part.disposition != "attachment"
        and not part.filename
    )


def _is_marked_up(part: Part) -> bool:
    """Whether a part is HTML or XML, by its types."""
    types = (part.declared_type, part.detected_type)
    return any(kind == "text/html" or kind in _XML_TYPES or kind.endswith("+xml") for kind in types)


def is_text(part: Part) -> bool:
    """Whether a part holds text: by its declared type, else by its first bytes."""
    if part.declared_type.startswith("text/"):
        return True
    detected = part.detected_type
    if detected:
        return detected.startswith("text/") or detected in _TEXT_TYPES
    head = part.head(_SNIFFED_BYTES)
    return b"\0" not in head or head[:2] in _UTF16_MARKS


def visible(text: str) -> str:
    """``text`` without characters that do not show, which hide words from a search."""
    return _put("", _INVISIBLE, text) if _hides(text) else text


def _hides(text: str) -> bool:
    """Whether any character does not show; takes a fraction of what the regular expression takes, where it can."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        rest = text.encode("utf-8", "surrogatepass").translate(None, _SHOWN_ASCII)
        return _INVISIBLE.search(rest.decode("utf-8", "surrogatepass")) is not None
    return any(map(text.__contains__, _LATIN1_INVISIBLE))


def shown(markup: str) -> str:
    """The text that a document in HTML or XML shows: words are not torn by tags within them."""
    text = _put(_blank, _MARKUP, markup).replace("]]>", "")
    return unescape(text) if "&" in text else text


def _blank(match: re.Match[str]) -> str:
    """What stands in the place of markup: a new line for a break, else nothing."""
    name = match[1]
    return "\n" if name is not None and name.lower() in _BREAKS else ""


def _put(replacement: str | Callable[[re.Match[str]], str], pattern: re.Pattern[str], text: str) -> str:
    """What ``pattern`` matches replaced. `re.sub` holds a large text in pieces that take many times its memory."""
    if len(text) <= BULK_CHARS:
        return pattern.sub(replacement, text)
    kept, position = io.StringIO(), 0
    for match in pattern.finditer(text):
        kept.write(text[position : match.start()])
        kept.write(replacement if isinstance(replacement, str) else replacement(match))
        position = match.end()
    kept.write(text[position:])
    return kept.getvalue()
