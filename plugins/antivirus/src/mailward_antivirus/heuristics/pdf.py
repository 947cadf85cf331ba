"""PDF: what acts when it is opened, and what it carries."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

from mailward import Part
from mailward_antivirus.heuristics.kinds import RUNS, is_program
from mailward_antivirus.heuristics.libraries import is_here
from mailward_antivirus.heuristics.patterns import pattern
from mailward_antivirus.heuristics.trait import Traits, suffix, trait

MAX_BYTES = 32 * 1024 * 1024
MAX_OBJECTS = 20_000
_HIDDEN = pattern(r"/[A-Za-z]{0,20}#[46-7][0-9A-F][A-Za-z#0-9]{0,60}")
_WORTH = pattern(
    *("JavaScript", r"/JS\b", "OpenAction", r"/AA\b", "Launch", "EmbeddedFile", "SubmitForm", "RichMedia", "XFA"),
    *("ObjStm", "#[46-7]"),
)
_PLAIN_NAMES = frozenset(
    [b"/JavaScript", b"/JS", b"/OpenAction", b"/AA", b"/Launch", b"/EmbeddedFile", b"/SubmitForm", b"/URI"]
)
_CODE = re.compile(rb"#([0-9A-Fa-f]{2})")
_HARMLESS_STARTS = ("/GoTo", "/Named")
_FAULTS = (RuntimeError, ValueError, TypeError, KeyError, RecursionError, OverflowError, AttributeError)


def inspect_pdf(part: Part) -> Traits:
    """Scripts, actions, embedded files; nothing where the bytes show that there can be none."""
    if part.size > MAX_BYTES:
        yield trait("pdf_unreadable", f"{part.size} bytes: too large to look into")
        return
    data = part.content
    if not _WORTH.search(data):
        return
    for match in _HIDDEN.finditer(data):
        if _CODE.sub(lambda code: bytes([int(code[1], 16)]), match[0]) in _PLAIN_NAMES:
            yield trait("pdf_hides", match[0])
            break
    yield from _walk(data)


def inspect_unmarked(part: Part) -> Traits:
    """A file that is called a PDF and does not begin as one: some readers look for its end."""
    if not part.detected_type and any(mark in part.tail(1024) for mark in (b"%%EOF", b"startxref", b"trailer")):
        yield trait("pdf_unreadable", "no header where readers look for it")
        yield from inspect_pdf(part)


def _walk(data: bytes) -> Traits:
    if not is_here("pikepdf"):
        yield trait("pdf_unreadable", "pikepdf is not installed")
        return
    import pikepdf

    logging.getLogger("pikepdf._core").setLevel(logging.CRITICAL)
    try:
        with pikepdf.open(io.BytesIO(data), suppress_warnings=True) as document:
            yield from _document(document)
    except pikepdf.PasswordError:
        return
    except (pikepdf.PdfError, *_FAULTS) as error:
        yield trait("pdf_unreadable", type(error).__name__)


def _document(document: Any) -> Traits:
    import pikepdf

    seen: set[str] = set()
    start = document.Root.get("/OpenAction")
    if isinstance(start, pikepdf.Dictionary) and "/S" in start and str(start.S) not in _HARMLESS_STARTS:
        yield trait("pdf_starts", f"OpenAction {start.S}")
    for rule, evidence in _found(document):
        if rule not in seen:
            seen.add(rule)
            yield trait(rule, evidence)


def _found(document: Any) -> Iterator[tuple[str, str]]:
    import pikepdf

    for count, item in enumerate(document.objects):
        if count >= MAX_OBJECTS:
            yield "pdf_unreadable", f"more than {MAX_OBJECTS} objects"
            return
        if not isinstance(item, pikepdf.Dictionary | pikepdf.Stream):
            continue
        for action in _actions(item):
            yield from _action(action)
        if "/EF" in item:
            yield from _embedded(item)


def _actions(item: Any) -> Iterator[Any]:
    """The object, its action, and its additional actions, as far as these are not objects of their own."""
    import pikepdf

    yield item
    for key in ("/A", "/OpenAction", "/AA"):
        inner = item.get(key)
        if not isinstance(inner, pikepdf.Dictionary):
            continue
        yield inner
        if key == "/AA":
            yield from (inner[each] for each in list(inner.keys())[:20] if isinstance(inner[each], pikepdf.Dictionary))


def _action(item: Any) -> Iterator[tuple[str, str]]:
    kind = str(item.get("/S", ""))
    if kind == "/JavaScript" or ("/JS" in item and kind in ("", "/Rendition")):
        script = item.get("/JS")
        yield "pdf_script", "a stream" if hasattr(script, "read_bytes") and not isinstance(script, str) else str(script)
    elif kind == "/Launch":
        yield "pdf_launch", str(item.get("/F", item.get("/Win", "")))[:200]
    elif kind == "/SubmitForm":
        yield "pdf_submits", str(item.get("/F", ""))[:200]


def _embedded(item: Any) -> Iterator[tuple[str, str]]:
    names = [str(item.get(key)) for key in ("/UF", "/F") if key in item]
    yield "pdf_embeds", ", ".join(names)[:200]
    if any(suffix(name) in RUNS for name in names):
        yield "pdf_program", names[0]
        return
    for key in list(item.EF.keys())[:4]:
        try:
            if is_program(bytes(item.EF[key].read_bytes())[:64]):
                yield "pdf_program", ", ".join(names)[:200]
        except Exception:  # a filter that the library lacks, or damage: the names were looked at
            continue
