"""HTML and SVG as attachments: pages that build files, ask for passwords, or lead elsewhere."""

from __future__ import annotations

from mailward import Part
from mailward_antivirus.heuristics.patterns import around, pattern
from mailward_antivirus.heuristics.relationships import narrow
from mailward_antivirus.heuristics.trait import Traits, beyond, trait

MAX_BYTES = 32 * 1024 * 1024
_SAVES = pattern(
    r"createobjecturl",
    r"mssaveoropenblob",
    r"mssaveblob",
    r"\.download\s*=",
    r"\bdownload\s*=\s*[\"'][^\"']{1,200}[\"']",
    r"setattribute\(\s*[\"']download",
)
_UNPACKS = pattern(
    r"\batob\s*\(",
    r"new\s+blob\s*\(",
    r"uint8array",
    r"data:(?:application|text/html)[^\"',]{0,80};base64,",
    r"fromcharcode",
)
_LONG = pattern(
    r"[a-z0-9+/=]{1000}",
    r"(?:\d{1,3},\s?){300}",
    r"(?:\\x[0-9a-f]{2}){300}",
    r"(?:%[0-9a-f]{2}){300}",
    r"[\"'`][^\"'`\s]{1000}[^\"'`\s]{1000}",
)
_HIDES = pattern(
    r"\bunescape\s*\(",
    r"document\.write(?:ln)?\s*\(\s*(?:atob|unescape|decodeuri)",
    r"\beval\s*\(",
    r"fromcharcode\s*\([^)]{80}",
    r"_0x[0-9a-f]{4,8}\s?[\[(=]",
    r"\[\s*[\"']\\x[0-9a-f]{2}",
)
_PASSWORD = pattern(r"<input\b[^>]{0,400}\btype\s*=\s*[\"']?password")
_FORM = pattern(r"<form\b[^>]{0,900}\baction\s*=\s*[\"']?\s*(https?:[^\"'\s>]{1,300})")
_SENDS = pattern(r"\bfetch\s*\(", "xmlhttprequest", r"\$\.(?:ajax|post)", "sendbeacon")
_LEADS_ELSEWHERE = pattern(
    r"<meta\b[^>]{0,200}http-equiv\s*=\s*[\"']?refresh[^>]{0,400}url\s*=",
    r"\blocation(?:\.href)?\s*=\s*[\"'a-z]",
    r"location\.(?:replace|assign)\s*\(",
)
_PAGE_OF_XML = pattern(r"https?://www\.w3\.org/1999/(?:xhtml|xsl/transform)", r"<\?xml-stylesheet\b")
_SCRIPT = pattern(r"<(?:[a-z][\w.-]{0,40}:)?script\b", r"\son[a-z]{3,20}\s*=", "javascript:")


def inspect_page_of_xml(part: Part) -> Traits:
    """XML that is a page for browsers: it has elements of XHTML, or a style sheet that makes some."""
    if _PAGE_OF_XML.search(narrow(part.head(MAX_BYTES))):
        yield from inspect_html(part)


def inspect_html(part: Part) -> Traits:
    """An attached page; the text of the message itself is left to others."""
    page = part.text.encode("utf-8", "replace") if part.size <= MAX_BYTES else part.head(MAX_BYTES)
    yield from beyond(part, MAX_BYTES)
    script = _SCRIPT.search(page)
    asks = _PASSWORD.search(page)
    form = _FORM.search(page)
    if script:
        yield trait("html_script", page[script.start() : script.start() + 80])
        yield from _scripted(page)
    if asks:
        yield trait("html_asks_password", asks[0])
    if form:
        yield trait("html_submits", form[1])
    elif script and asks and (sends := _SENDS.search(page)):
        yield trait("html_submits", around(page, sends))
    if match := _LEADS_ELSEWHERE.search(page):
        yield trait("html_redirects", match[0])


def _scripted(page: bytes) -> Traits:
    saves, unpacks, long = _SAVES.search(page), _UNPACKS.search(page), _LONG.search(page)
    if saves and unpacks and long:
        yield trait("html_smuggles", saves[0] + b" " + unpacks[0] + b" and long encoded data")
    if match := _HIDES.search(page):
        yield trait("html_hides", around(page, match))
    elif long and unpacks:
        yield trait("html_hides", unpacks[0])
