"""Office documents of the newer kind (OOXML): macros, embedded objects, controls, links that load from elsewhere, DDE.

Embedded objects and controls are emptied rather than taken out, for the text refers to them; macros are taken
out. All other members keep their content.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections import defaultdict
from urllib.parse import unquote

from mailward_antivirus.disarm.emptyole import EMPTY_OLE
from mailward_antivirus.disarm.fields import without_dde
from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed
from mailward_antivirus.heuristics.office_xml import is_loaded
from mailward_antivirus.heuristics.relationships import is_markup, is_wide, relationships

MAX_MEMBERS = 10_000
MAX_MEMBER_BYTES = 100 * 1024 * 1024
MAX_TOTAL_BYTES = 300 * 1024 * 1024
_MACROS = re.compile(r"(?:^|/)(?:vbaProject|vbaData|vbaProjectSignature)[^/]*$|^customUI/", re.I)
_EMPTIED = re.compile(r"/(?:embeddings|activeX)/[^/]+$", re.I)
_MACRO_SHEET = re.compile(r"/(?:intl)?macrosheets/[^/]+$", re.I)
_MACRO_KINDS = frozenset(["vbaproject", "wordvbadata", "vbaprojectsignature", "vbaprojectsignatureagile"])
_OBJECT_KINDS = frozenset(["oleobject", "package", "activexcontrolbinary"])
_SHEET_KINDS = frozenset(["xlmacrosheet", "xlintlmacrosheet"])
_EMPTY_SHEET = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<xm:macrosheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    b'xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><sheetData/></xm:macrosheet>'
)
_CLASS = re.compile(rb'(\bax:classid\s*=\s*")\{[^}"]{0,60}\}', re.I)
_NO_CLASS = rb"\g<1>{00000000-0000-0000-0000-000000000000}"
_RELATIONSHIP = re.compile(rb"<Relationship\b[^>]{1,4000}>(?:\s*</Relationship>)?", re.I)
_TARGET = re.compile(rb'(\bTarget\s*=\s*)(?:"([^"]*)"|\'([^\']*)\')')
_TYPE = re.compile(rb"\bType\s*=\s*[\"']([^\"']*)[\"']")
_EXTERNAL = re.compile(rb"\bTargetMode\s*=\s*[\"']External[\"']", re.I)
_ACTION = re.compile(rb"(\baction\s*=\s*[\"']ppaction://)(?:program|ole)\b", re.I)
_CONTENT_TYPES = "[content_types].xml"
_OVERRIDE = re.compile(rb"<Override\b[^>]{1,2000}>(?:\s*</Override>)?", re.I)
_PART_NAME = re.compile(rb"\bPartName\s*=\s*[\"']([^\"']*)[\"']")
_RUNS_BY_ITSELF = re.compile(rb"<definedName\b[^>]{0,400}_xlnm\.Auto_[^>]{0,400}>[^<]{0,8192}</definedName>", re.I)
_NO_NAMES = re.compile(rb"<definedNames>\s*</definedNames>")
_DDE_LINK = re.compile(rb"(\b(?:ddeService|ddeTopic)\s*=\s*)\"[^\"]{0,8192}\"")


def disarm_ooxml(content: bytes) -> Disarmed:
    """The document without what is active in it. Raises CannotDisarm."""
    removed: dict[str, None] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as document:
            members = _read(document)
            names = {info.filename for info, _ in members}
            if _CONTENT_TYPES not in {name.lower() for name in names}:
                raise CannotDisarm("not an Office document")
            kinds = _kinds(members)
            gone = {name for name in names if _MACROS.search(name) or kinds[name.lower()] & _MACRO_KINDS}
            doomed = {name.lower() for name in gone}
            rewritten = [
                (info, _disarmed(info.filename, data, kinds[info.filename.lower()], doomed, removed))
                for info, data in members
                if info.filename not in gone
            ]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise CannotDisarm(f"damaged or encrypted: {type(error).__name__}") from error
    removed.update(dict.fromkeys(f"macros ({posixpath.basename(name)})" for name in sorted(gone)))
    return Disarmed(_write(rewritten), tuple(removed))


def _kinds(members: list[tuple[zipfile.ZipInfo, bytes]]) -> defaultdict[str, set[str]]:
    """What the relationships say that each member is, by its name in lower case: its own name says nothing."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for info, data in members:
        if info.filename.lower().endswith(".rels"):
            for one in relationships(data):
                if not one.outside:
                    kinds[_place(info.filename, one.target)].add(one.kind.lower())
    return kinds


def _place(relationships_name: str, target: str) -> str:
    """The member that a target is, in lower case."""
    folder = posixpath.dirname(posixpath.dirname(relationships_name))
    return posixpath.normpath(posixpath.join("/", folder, unquote(target).replace("\\", "/"))).lstrip("/").lower()


def _read(document: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, bytes]]:
    infos = document.infolist()
    if len(infos) > MAX_MEMBERS or len({info.filename for info in infos}) != len(infos):
        raise CannotDisarm("too many members, or two of the same name")
    members, total = [], 0
    for info in infos:
        with document.open(info) as member:
            data = member.read(MAX_MEMBER_BYTES + 1)
        total += len(data)
        if len(data) > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
            raise CannotDisarm("too large")
        members.append((info, data))
    return members


def _write(members: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as document:
        for info, data in members:
            copy = zipfile.ZipInfo(info.filename, info.date_time)
            copy.compress_type = (
                zipfile.ZIP_STORED if info.compress_type == zipfile.ZIP_STORED else zipfile.ZIP_DEFLATED
            )
            copy.external_attr = info.external_attr
            document.writestr(copy, data)
    return out.getvalue()


def _disarmed(name: str, data: bytes, kinds: set[str], gone: set[str], removed: dict[str, None]) -> bytes:
    if name.lower().endswith((".rels", ".xml")) and is_wide(data):
        raise CannotDisarm("XML in UTF-16")
    if name.lower().endswith(".rels"):
        return _relationships(name, data, gone, removed)
    if name.lower() == _CONTENT_TYPES:
        return _OVERRIDE.sub(lambda one: b"" if _names_one_of(one[0], gone) else one[0], data)
    if kinds & _OBJECT_KINDS or (
        _EMPTIED.search(name) and not (is_markup(data[:64]) and name.lower().endswith(".xml"))
    ):
        removed[f"an embedded object ({posixpath.basename(name)})"] = None
        return EMPTY_OLE
    if "/activex/" in name.lower() and name.lower().endswith(".xml"):
        removed[f"a control ({posixpath.basename(name)})"] = None
        return _CLASS.sub(_NO_CLASS, data)
    if _MACRO_SHEET.search(name) or kinds & _SHEET_KINDS:
        if not name.lower().endswith(".xml"):
            raise CannotDisarm("Excel 4 macros in the binary form")
        removed["Excel 4 macros"] = None
        return _EMPTY_SHEET
    return _text(name, data, removed) if name.lower().endswith(".xml") else data


def _text(name: str, data: bytes, removed: dict[str, None]) -> bytes:
    if b"_xlnm.Auto_" in data:
        removed["names that run macros"] = None
        data = _NO_NAMES.sub(b"", _RUNS_BY_ITSELF.sub(b"", data))
    if b"ddeLink" in data:
        removed["links that start programs (DDE)"] = None
        data = _DDE_LINK.sub(rb'\g<1>""', data)
    if b"ppaction" in data and _ACTION.search(data):
        removed["actions that start programs"] = None
        data = _ACTION.sub(rb"\g<1>noaction", data)
    if b"instrText" in data or b"fldSimple" in data:
        data, found = without_dde(data)
        if found:
            removed["fields that start programs (DDE)"] = None
    return data


def _names_one_of(override: bytes, gone: set[str]) -> bool:
    match = _PART_NAME.search(override)
    return match is not None and unquote(match[1].decode("utf-8", "replace")).lstrip("/").lower() in gone


def _relationships(name: str, data: bytes, gone: set[str], removed: dict[str, None]) -> bytes:
    def change(one: re.Match[bytes]) -> bytes:
        kind, target = _TYPE.search(one[0]), _TARGET.search(one[0])
        if kind is None or target is None:
            return one[0]
        where = (target[2] if target[2] is not None else target[3]).decode("utf-8", "replace")
        if _EXTERNAL.search(one[0]):
            if not is_loaded(kind[1].rpartition(b"/")[2].decode("utf-8", "replace").lower(), where.encode()):
                return one[0]
            removed["links that load from elsewhere"] = None
            return one[0][: target.start()] + target[1] + b'"about:blank"' + one[0][target.end() :]
        return b"" if _place(name, where) in gone else one[0]

    changed = _RELATIONSHIP.sub(change, data)
    # another reader has to agree that nothing is left
    if any(
        one.outside and one.target != "about:blank" and is_loaded(one.kind.lower(), one.target.encode())
        for one in relationships(changed)
    ):
        raise CannotDisarm("links that load from elsewhere, written as Office does not write them")
    return changed
