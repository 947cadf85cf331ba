"""HTML and SVG attachments: scripts, event handlers and addresses that are scripts are cut out; all other bytes stay.

Where to cut is found by one parser, and another one, which follows the standard of browsers, must agree that
nothing is left.
"""

from __future__ import annotations

import codecs
import html
from html.parser import HTMLParser

from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed
from mailward_antivirus.heuristics.libraries import is_here

MAX_BYTES = 8 * 1024 * 1024
_CUT = frozenset(["script", "object", "embed", "applet", "base"])
_VOID = frozenset(["embed", "base"])
_ADDRESSES = frozenset(["href", "src", "action", "formaction", "xlink:href", "data", "srcdoc", "background", "poster"])
_SCHEMES = ("javascript:", "vbscript:", "data:text/html", "data:application", "data:image/svg")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CODECS = {"": "utf-8", "us-ascii": "utf-8", "utf-16": "utf-16-le", "utf16": "utf-16-le"}
Attributes = list[tuple[str, str | None]]


def disarm_html(text: str) -> str:
    """The page without what acts. Raises CannotDisarm."""
    if len(text) > MAX_BYTES:
        raise CannotDisarm("too large")
    finder = _Finder(text)
    finder.feed(text)
    finder.close()
    spans = finder.spans()
    kept, place = [], 0
    for start, end, instead in spans:
        if start < place:
            continue
        kept.append(text[place:start] + instead)
        place = end
    page = "".join(kept) + text[place:]
    if left := what_acts(page):
        raise CannotDisarm(f"browsers would still find {left}")
    return page


def disarm_html_bytes(content: bytes, charset: str) -> Disarmed:
    """As `disarm_html`, for the bytes of a page; characters that are not touched keep their bytes."""
    # a byte order mark tells browsers more than any header, and encoding must not add one
    marked = next((codec for mark, codec in _MARKS.items() if content.startswith(mark)), "")
    codec = marked or _CODECS.get(charset, charset)
    try:
        text = content.decode(codec, "surrogateescape")
        page = disarm_html(text).encode(codec, "surrogateescape")
    except (LookupError, UnicodeError):
        text = content.decode("latin-1")
        page = disarm_html(text).encode("latin-1")
    return Disarmed(page, ("what acts in the page",) if page != content else ())


def what_acts(page: str) -> str:
    """What of a page acts, by the rules of browsers; empty where nothing does."""
    if not is_here("selectolax"):
        raise CannotDisarm("selectolax is not installed")
    from selectolax.lexbor import LexborHTMLParser

    for node in LexborHTMLParser(page).css("*"):
        if node.tag in _CUT:
            return f"<{node.tag}>"
        for name, value in node.attributes.items():
            if name.startswith("on"):
                return f"{name}="
            if name in _ADDRESSES and _is_script(value or ""):
                return f"{name}={(value or '')[:20]}"
        if node.tag == "meta" and (node.attributes.get("http-equiv") or "").lower() == "refresh":
            return "a refresh"
    return ""


def _is_script(value: str) -> bool:
    plain = "".join(char for char in value if char > " ").lower()
    return plain.startswith(_SCHEMES)


class _Finder(HTMLParser):
    """Finds where to cut: elements that act, and in the tags of others the attributes that do."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self._text = text
        self._starts = [0]
        place = text.find("\n")
        while place >= 0:
            self._starts.append(place + 1)
            place = text.find("\n", place + 1)
        self._found: list[tuple[int, int, str]] = []
        self._open: dict[str, list[int]] = {}

    def _here(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Note an element that acts, or a tag with attributes that do."""
        start, tag_text = self._here(), self.get_starttag_text() or ""
        end = start + len(tag_text)
        if tag in _VOID or (tag == "meta" and _refreshes(attrs)):
            self._found.append((start, end, ""))
        elif tag in _CUT:
            self._open.setdefault(tag, []).append(start)
        elif acts := _acting(attrs):
            self._found.append((start, end, _rebuilt(tag_text, tag, attrs, acts)))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """Note an element that ends where it begins."""
        self.handle_starttag(tag, attrs)
        if self._open.get(tag):
            start = self._open[tag].pop()
            self._found.append((start, start + len(self.get_starttag_text() or ""), ""))

    def handle_endtag(self, tag: str) -> None:
        """Note where an element that acts ends."""
        if self._open.get(tag):
            end = self._text.find(">", self._here())
            self._found.append((self._open[tag].pop(), end + 1 if end >= 0 else len(self._text), ""))

    def spans(self) -> list[tuple[int, int, str]]:
        """Where to cut and what to put there, in order, outermost first."""
        unclosed = [(start, len(self._text), "") for starts in self._open.values() for start in starts]
        return sorted([*self._found, *unclosed], key=lambda span: (span[0], -span[1]))


def _refreshes(attrs: Attributes) -> bool:
    return any(name == "http-equiv" and (value or "").strip().lower() == "refresh" for name, value in attrs)


def _acting(attrs: Attributes) -> frozenset[str]:
    return frozenset(
        name for name, value in attrs if name.startswith("on") or (name in _ADDRESSES and _is_script(value or ""))
    )


def _rebuilt(tag_text: str, tag: str, attrs: Attributes, without: frozenset[str]) -> str:
    kept = "".join(_attribute(name, value) for name, value in attrs if name not in without)
    return f"<{tag}{kept}{' /' if tag_text.endswith('/>') else ''}>"


def _attribute(name: str, value: str | None) -> str:
    return f" {name}" if value is None else f' {name}="{html.escape(value)}"'
