"""Documents of the newer kind: their members, which are parts of their own, and documents in one XML or text file."""

from __future__ import annotations

import html

from mailward import Part
from mailward_antivirus.heuristics.addresses import is_remote, runs_code
from mailward_antivirus.heuristics.kinds import RUNS as RUNNING_SUFFIXES
from mailward_antivirus.heuristics.kinds import is_program
from mailward_antivirus.heuristics.office import DDE_FIELD, inspect_macro_source, inspect_macros
from mailward_antivirus.heuristics.patterns import around, pattern
from mailward_antivirus.heuristics.relationships import narrow, relationships
from mailward_antivirus.heuristics.sources import RUNS
from mailward_antivirus.heuristics.trait import Traits, beyond, member_path, suffix, trait

_MAX_STREAM = 32 * 1024 * 1024
_DDE_FORMULA = pattern(
    r"(?m)(?:^|[;,\t\"])[=+@-]\s*[\"']?"
    r"(?:cmd|powershell|mshta|msexcel|rundll32|regsvr32|wscript|certutil)[^|\r\n]{0,60}\|"
)
_DDE_LINK = pattern(r"\bddeService\s*=\s*[\"'][^\"']")
_SYLK_CALL = pattern(r"(?m)^C;[^\n]{0,200};E(?:EXEC|CALL|REGISTER|RUN)\(")
_SYLK_MACRO = pattern(r"(?m)^O;[^\n]{0,40};?E(?:;|\r?$)")
_SYLK_STARTS = pattern(r"(?m)^NN;NAuto_open")
_LOADED = frozenset(
    ["attachedtemplate", "oleobject", "frame", "subdocument", "externallink", "externallinkpath", "afchunk", "package"]
)
_ACTION = pattern(r"\baction\s*=\s*[\"']ppaction://(?:program|ole)")
_REMOTE_MACRO = pattern(r"<(?:\w{1,20}:)?customUI\b[^>]{0,900}\bonLoad\s*=\s*[\"'](?:https?:|file:|\\\\)[^\"']{1,300}")
_WEB = pattern(r"https?:")
_FIELD_TEXT = pattern(r"<(?:[\w.-]{1,40}:)?(?:instrText|fldSimple)\b([^>]{0,900})>([^<]{0,900})")
_FORMULA = pattern(r"<(?:\w{1,5}:)?f\b[^>]{0,200}>([^<]{1,400})")
_XLM_RUNS = pattern(r"\b(?:EXEC|CALL|REGISTER|FOPEN|FWRITE|FWRITELN|RUN|FORMULA\.FILL|URLDownloadToFile)\b")
_ODF_SCRIPT_RUNS = pattern(r"\bos\.(?:system|popen|exec|spawn|startfile)", r"\bsubprocess\b", r"getRuntime\s*\(")
_FLAT_MODULE = pattern(r"<(?:[\w.-]{1,40}:)?source-code\b")
_ODF_EVENT = pattern(r"<script:event-listener\b[^>]{0,400}vnd\.sun\.star\.script")
_EQUATION = bytes.fromhex("02ce020000000000c000000000000046")
_BEGIN_DDE_LINK = b"\xe8\x02", b"\x01\0"


def inspect_office_xml(part: Part) -> Traits:
    """A member of a document of the newer kind, or a document in one XML file."""
    data = narrow(part.head(_MAX_STREAM))
    yield from beyond(part, _MAX_STREAM)
    if b"Relationship" in data:
        yield from _relationships(data)
    if b"instrText" in data or b"fldSimple" in data:
        yield from _fields(data)
    if match := _DDE_LINK.search(data):
        yield trait("dde", data[match.start() : match.start() + 120])
    elif match := _DDE_FORMULA.search(data):
        yield trait("dde", around(data, match))
    if b"ppaction" in data and (match := _ACTION.search(data)):
        yield trait("action_runs", around(data, match))
    if b"customUI" in data and (match := _REMOTE_MACRO.search(data)):
        yield trait("external_template", match[0])
    if b'macrosPresent="yes"' in data or b"editdata" in data:
        yield from inspect_macros(part, data)
    if "/macrosheets/" in member_path(part) or b"macrosheet" in data[:2000]:
        yield from _macro_sheet(data)
    if b"_xlnm.Auto_Open" in data or b"_xlnm.Auto_Close" in data:
        yield trait("xlm_starts", "a defined name that runs by itself")


def _fields(data: bytes) -> Traits:
    found = [(match[1], match[2]) for match in _FIELD_TEXT.finditer(data)]
    # Word joins the pieces of an instruction, and malware writes it in pieces of a letter.
    for text in (b"".join(text for _, text in found), b" ".join(attributes for attributes, _ in found)):
        if match := DDE_FIELD.search(html.unescape(text.decode("utf-8", "replace")).encode() + b" "):
            yield trait("dde", text[match.start() : match.start() + 120])
            return


def _macro_sheet(data: bytes) -> Traits:
    formulas = b" ".join(match[1] for match in _FORMULA.finditer(data))
    if not formulas:
        return
    yield trait("xlm_macro", formulas)
    if match := _XLM_RUNS.search(formulas):
        yield trait("xlm_runs", around(formulas, match))


def is_loaded(kind: str, target: bytes) -> bool:
    """Whether Office loads the target of an outside relationship in a way that gives something away, or takes it in.

    Pictures on the web are what newsletters have; those on a share are asked for with the user's own password.
    """
    return kind in _LOADED or (kind == "image" and not _WEB.match(target))


def _relationships(data: bytes) -> Traits:
    seen: set[str] = set()
    for one in relationships(data):
        target = one.target.encode("utf-8", "replace")
        if not one.outside or not is_loaded(one.kind.lower(), target):
            continue
        rule = "external_template" if one.kind.lower() == "attachedtemplate" else "external_object"
        if runs_code(target):
            rule = "external_moniker"
        elif not is_remote(target):
            # A path of the author's own disk: how Office writes links to a document beside it.
            continue
        if rule not in seen:
            seen.add(rule)
            yield trait(rule, target)


def inspect_table_text(part: Part) -> Traits:
    """Formulas in CSV and SYLK files that start programs."""
    data = part.head(_MAX_STREAM)
    yield from beyond(part, _MAX_STREAM)
    if match := _DDE_FORMULA.search(data):
        yield trait("dde", around(data, match))
    if not data.startswith(b"ID;P"):
        return
    if match := _SYLK_CALL.search(data):
        yield trait("xlm_macro", around(data, match))
        yield trait("xlm_runs", around(data, match))
    elif match := _SYLK_MACRO.search(data):
        yield trait("xlm_macro", around(data, match))
    if match := _SYLK_STARTS.search(data):
        yield trait("xlm_starts", around(data, match))


def inspect_binary_sheet(part: Part) -> Traits:
    """A binary member of an .xlsb: macro sheets, names that run by themselves, DDE links (MS-XLSB)."""
    data, path = part.head(_MAX_STREAM), member_path(part)
    yield from beyond(part, _MAX_STREAM)
    if "/macrosheets/" in path:
        yield trait("xlm_macro", part.filename)
    if "auto_open".encode("utf-16-le") in data.lower():
        yield trait("xlm_starts", "a defined name that runs by itself")
    begin, dde = _BEGIN_DDE_LINK
    if "/externallinks/" in path and data.startswith(begin) and data[3:5] == dde:
        yield trait("dde", data[5:200].decode("utf-16-le", "replace"))


def inspect_basic(part: Part) -> Traits:
    """Macros in an ODF document, in a member or in one XML file, and the events of a document that start them."""
    data = part.head(_MAX_STREAM)
    yield from beyond(part, _MAX_STREAM)
    if b"<script:module" in data or (b"source-code" in data and _FLAT_MODULE.search(data)):
        yield from inspect_macro_source(html.unescape(data.decode("utf-8", "replace")))
    if match := _ODF_EVENT.search(data):
        yield trait("macro_starts", match[0])


def inspect_odf_script(part: Part) -> Traits:
    """A macro of an ODF document in another language than Basic."""
    source = part.head(_MAX_STREAM)
    yield trait("macro", part.filename)
    if match := RUNS.search(source) or _ODF_SCRIPT_RUNS.search(source):
        yield trait("macro_runs", around(source, match))


def inspect_embedded(part: Part) -> Traits:
    """What lies in a document's own folder of embedded objects."""
    yield trait("embedded_object", part.filename)
    named_so = suffix(part.filename) in RUNNING_SUFFIXES - {"bin"} and part.detected_type != "application/x-ole-storage"
    if is_program(part.head(64)) or named_so:
        yield trait("embedded_program", part.filename)
    if _EQUATION in part.head(4096):
        yield trait("equation", "the class of the old equation editor")
