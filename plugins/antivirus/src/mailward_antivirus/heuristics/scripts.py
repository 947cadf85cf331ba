"""Scripts and other small files that start something when they are opened."""

from __future__ import annotations

from mailward import Part
from mailward_antivirus.heuristics.kinds import RUNS, is_program
from mailward_antivirus.heuristics.patterns import around, pattern
from mailward_antivirus.heuristics.sources import FETCHES, hides
from mailward_antivirus.heuristics.sources import RUNS as STARTS_PROGRAMS
from mailward_antivirus.heuristics.trait import Trait, Traits, beyond, suffix, suffixes, trait

MAX_BYTES = 32 * 1024 * 1024
_SUFFIXES = "ahk applescript au3 bat cmd hta js jse msh ps1 ps1xml psm1 pyw reg sct vb vbe vbs wsc wsf wsh"
SCRIPT_SUFFIXES = frozenset(_SUFFIXES.split())
_ENCODED = b"#@~^"
_URL = pattern(r"(?m)^\s*url\s*=[ \t]*([^\r\n]{1,900})")
_ICON_ELSEWHERE = pattern(r"(?m)^\s*iconfile\s*=\s*\\\\")
_OTHER_HOST = pattern(r"(?:file:)?[\\/]{2,}[^\\/]", "search-ms:", "ms-[a-z]{1,30}:", "vbscript:", "javascript:")
_ONE_OBJECT = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_ONE_DATA_OFFSET = 36
_MAX_EMBEDDED = 100
_BEGINS_LIKE_A_SCRIPT = pattern(
    r"\s*(?:<script|<html|<job|@echo|sub\s|function\s|var\s|set\s|on error|dim\s|powershell|start\s)"
)


def source_of(part: Part) -> bytes:
    """The text of a script as UTF-8, whatever its encoding, bounded."""
    data = part.head(MAX_BYTES)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    if data[1:64:2].count(0) > 16:
        return data.decode("utf-16-le", "replace").encode("utf-8", "replace")
    return data


def inspect_script(part: Part) -> Traits:
    """A script by its name, and what it does."""
    source = source_of(part)
    yield from beyond(part, MAX_BYTES)
    yield trait("script", next((f".{one}" for one in suffixes(part) if one in SCRIPT_SUFFIXES), part.filename))
    if _ENCODED in source[:4096]:
        yield trait("script_encoded", source[:40])
    if match := STARTS_PROGRAMS.search(source):
        yield trait("script_runs", around(source, match))
    if match := FETCHES.search(source):
        yield trait("script_fetches", around(source, match))
    if hidden := hides(source):
        yield trait("script_hides", hidden)


def inspect_link_file(part: Part) -> Traits:
    """An Internet shortcut (.url) and where it leads."""
    source = source_of(part)
    match = _URL.search(source)
    target = match[1].strip() if match else b""
    yield trait("link_file", target)
    program = suffix(target.split(b"?")[0].rstrip(b"/").decode("latin-1")) in RUNS - {"com"}
    if _OTHER_HOST.match(target) or _ICON_ELSEWHERE.search(source) or program:
        yield trait("link_runs", target)


def inspect_note(part: Part) -> Traits:
    """A OneNote page (MS-ONESTORE) and the files in it."""
    data = part.content
    place, files = data.find(_ONE_OBJECT), 0
    while place >= 0 and files < _MAX_EMBEDDED:
        files += 1
        start = place + _ONE_DATA_OFFSET
        if (found := _starts_something(data[start : start + 4096])) is not None:
            yield found
            break
        place = data.find(_ONE_OBJECT, place + 16)
    if files:
        yield trait("note_embeds", f"{files} embedded")


def _starts_something(head: bytes) -> Trait | None:
    if is_program(head):
        return trait("note_program", head[:32])
    text = head.replace(b"\0", b"") if head[1:64:2].count(0) > 16 else head
    if _BEGINS_LIKE_A_SCRIPT.match(text) or STARTS_PROGRAMS.search(text):
        return trait("note_program", text.strip()[:100])
    return None
