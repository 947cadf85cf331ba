"""Office documents of the older kind (OLE files), and macros wherever they are.

A document of the newer kind is a zip whose members are parts of their own; `office_xml` looks at those, and
`assess` adds up what belongs to one document.
"""

from __future__ import annotations

import io
from typing import Any, cast

import olefile

from mailward import Part
from mailward_antivirus.heuristics.kinds import RUNS as RUN_SUFFIXES
from mailward_antivirus.heuristics.kinds import is_program
from mailward_antivirus.heuristics.libraries import is_here
from mailward_antivirus.heuristics.patterns import around, pattern
from mailward_antivirus.heuristics.sources import hides
from mailward_antivirus.heuristics.trait import Trait, Traits, suffix, trait
from mailward_antivirus.heuristics.xlm import inspect_workbook

DEFAULT_PASSWORDS = ("VelvetSweatshop", "/01Hannes Ruescher/01")
"""Passwords that Excel and PowerPoint try by themselves."""

MAX_BYTES = 32 * 1024 * 1024
_MAX_SOURCE = 2 * 1024 * 1024
_MAX_STREAM = 4 * 1024 * 1024
_MAX_STREAMS = 2000
_STARTS = pattern(
    r"\bauto_?(?:exec|open|close|exit|new)\b",
    r"\bdocument_?(?:open|close|new|beforeclose|contentcontrolonenter)\b",
    r"\bworkbook_?(?:open|activate|beforeclose|deactivate)\b",
    r"\bworksheet_?(?:change|calculate|activate)\b",
    r"\bnewdocument\b",
    r"\b\w{1,60}_(?:layout|resize|painted|painting|gotfocus|lostfocus|mousehover|onconnecting|opened)\b",
    r"\b\w{1,60}_(?:beforenavigate2|titlechange|progresschange|statuschange|documentcomplete|framechanged|inkadded)\b",
)
_RUNS = pattern(
    r"\bshell\b\s*[($\"]",
    r"\bshell\s+\w",
    r"wscript\.shell",
    r"shell\.application",
    r"\bshellexecute",
    r"createprocess",
    r"winmgmts",
    r"win32_process",
    r"\.run\b",
    r"callbyname",
    r"\b(?:create|get)object\b",
    r"\bdeclare\s+(?:ptrsafe\s+)?(?:sub|function)\b",
    r"virtualalloc",
    r"createthread",
    r"powershell",
    r"cmd(?:\.exe)?\s*/c",
    r"macscript",
    r"execute4macro",
)
_FETCHES = pattern(
    r"urldownloadtofile",
    r"xmlhttp",
    r"winhttp",
    r"internetexplorer\.application",
    r"net\.webclient",
    r"downloadfile",
    r"https?://[^\s\"]{1,300}\.(?:exe|dll|ps1|hta|js|vbs|bin|dat)",
)
_WRITES = pattern(
    r"adodb\.stream",
    r"savetofile",
    r"\bopen\b[^\n]{1,80}\bfor\s+(?:output|binary|append)",
    r"filecopy\b",
    r"createtextfile",
    r"\bkill\b\s",
)
_DOES = (("macro_starts", _STARTS), ("macro_runs", _RUNS), ("macro_fetches", _FETCHES), ("macro_writes", _WRITES))
_CHRS = pattern(r"\bchrw?\$?\s*\(")
_MANY_CHRS = 25
_FIELD = pattern(r"\x13([^\x13-\x15]{1,900})[\x14\x15]")
DDE_FIELD = pattern(r"\bdde(?:auto)?[\s\"'\\]")
"""The instruction of a field that starts a program."""

_VBA_MARKS = (
    *(word.encode("utf-16-le") for word in ("VBA", "PowerPoint")),
    *(b"Attribut", b"macrosPresent", b"editdata"),
)


def inspect_ole(part: Part) -> Traits:
    """An OLE file: a document of the older kind, or the macros of one of the newer kind."""
    if part.size > MAX_BYTES:
        yield trait("macro_unreadable", f"{part.size} bytes: too large to look into")
        return
    data = part.content
    try:
        # A file object, for the library takes short content for the path of a file.
        ole = cast(Any, olefile.OleFileIO(io.BytesIO(data)))
    except Exception as error:  # a library that reads hostile content: what it cannot read is a trait
        yield from inspect_macros(part, data)
        yield _unreadable(error)
        return
    yield from inspect_macros(part, data, ole)
    yield from inspect_workbook(ole)
    yield from _streams(part, data, ole)


def inspect_macros(part: Part, data: bytes, ole: Any = None) -> Traits:
    """Macros in VBA, wherever they lie in a file; ``ole`` is ``data`` as an OLE file where that is open."""
    if not any(mark in data for mark in _VBA_MARKS):
        return
    if not is_here("oletools"):
        yield trait("macro_unreadable", "oletools is not installed")
        return
    from mailward_antivirus.heuristics import vba

    found: list[str] = []
    try:
        for source in vba.sources(part.filename or "part", data, ole):
            found.append(source)
    except Exception as error:  # as above
        yield trait("macro_unreadable", type(error).__name__)
    yield from inspect_macro_source("\n".join(found)[:_MAX_SOURCE])


def inspect_macro_source(source: str) -> Traits:
    """What macros do, by their source."""
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("Attribute ")]
    code = "\n".join(lines).encode("utf-8", "replace")
    if not code:
        return
    yield trait("macro", code[:80])
    for rule, does in _DOES:
        if match := does.search(code):
            yield trait(rule, around(code, match))
    if hidden := hides(code):
        yield trait("macro_hides", hidden)
    elif (count := sum(1 for _ in _CHRS.finditer(code))) >= _MANY_CHRS:
        yield trait("macro_hides", f"{count} characters written as codes")


def _streams(part: Part, data: bytes, ole: Any) -> Traits:
    try:
        yield from _objects(ole)
        if ole.exists("EncryptedPackage") and _opens_by_itself(part, data):
            yield trait("default_password")
    except Exception as error:  # as above
        yield _unreadable(error)


def _unreadable(error: Exception) -> Trait:
    return trait("macro_unreadable", f"an OLE file that cannot be read: {type(error).__name__}")


def _opens_by_itself(part: Part, data: bytes) -> bool:
    """Whether an encrypted document has the password that its program tries without asking."""
    if not is_here("msoffcrypto"):
        return False
    import msoffcrypto

    document = msoffcrypto.OfficeFile(io.BytesIO(data))
    password = DEFAULT_PASSWORDS[suffix(part.filename).startswith("p")]
    try:
        document.load_key(password=password, verify_password=True)
    except msoffcrypto.exceptions.InvalidKeyError:
        return False
    return True


def _objects(ole: Any) -> Traits:
    packages: list[str] = []
    for path in ole.listdir(streams=True, storages=False)[:_MAX_STREAMS]:
        name = path[-1]
        if name == "\x01Ole10Native":
            packages.append("/".join(path[:-1]))
            if found := _native_program(ole.openstream(path).read(_MAX_STREAM)):
                yield trait("embedded_program", found)
        elif name in ("Equation Native", "EquationNative"):
            yield trait("equation", "/".join(path))
        elif name.startswith("\x03OCXNAME") or path[0] == "ActiveX":
            yield trait("activex", "/".join(path))
        elif name == "WordDocument" and ole.get_size(path) <= _MAX_STREAM:
            yield from _word_fields(ole.openstream(path).read(_MAX_STREAM))
    if packages:
        yield trait("embedded_object", ", ".join(packages))


def _native_program(raw: bytes) -> str:
    """The name of a program in an Ole10Native stream, or what it begins with; empty where it holds none."""
    names = [piece.decode("latin-1") for piece in raw[6:2000].split(b"\0") if 2 < len(piece) < 300]
    named = next((name for name in names[:3] if suffix(name) in RUN_SUFFIXES), "")
    if named:
        return named
    for magic in (b"MZ\x90", b"\x7fELF", b"L\0\0\0\x01\x14\x02\0"):
        place = raw.find(magic, 4, 4096)
        if place >= 0 and is_program(raw[place : place + 8]):
            return f"{magic!r} at {place}"
    return ""


def _word_fields(stream: bytes) -> Traits:
    """DDE fields in the text of a Word document: between the characters 19 and 20 or 21."""
    for text in (stream, stream.decode("utf-16-le", "replace").encode("utf-8", "replace")):
        for field in _FIELD.finditer(text):
            if DDE_FIELD.match(field[1].strip() + b" "):
                yield trait("dde", field[1].strip())
                return
