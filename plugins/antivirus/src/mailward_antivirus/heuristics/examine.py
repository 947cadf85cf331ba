"""Which inspectors look at which part: by detected type, by extension, by place in a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailward import Part, PartKind
from mailward_antivirus.heuristics import (
    hiding,
    html,
    launchers,
    names,
    office,
    office_xml,
    pdf,
    programs,
    rtf,
    scripts,
    shortcuts,
)
from mailward_antivirus.heuristics.relationships import is_markup
from mailward_antivirus.heuristics.trait import Trait, Traits, member_path, suffixes

Inspector = Callable[[Part], Traits]

_BY_TYPE: dict[str, Inspector] = {
    "application/x-dosexec": programs.inspect_program,
    "application/x-elf": programs.inspect_program,
    "application/x-mach-binary": programs.inspect_program,
    "application/x-ms-shortcut": shortcuts.inspect_shortcut,
    "application/x-ole-storage": office.inspect_ole,
    "application/rtf": rtf.inspect_rtf,
    "application/pdf": pdf.inspect_pdf,
    "image/svg+xml": html.inspect_html,
    "image/png": hiding.inspect_tail,
}
_BY_SUFFIX: dict[str, Inspector] = {
    **dict.fromkeys(scripts.SCRIPT_SUFFIXES, scripts.inspect_script),
    **dict.fromkeys(("htm", "html", "shtml", "xhtml", "xht", "mht", "mhtml", "svg"), html.inspect_html),
    **dict.fromkeys(("fodt", "fods", "fodp", "fodg"), office_xml.inspect_basic),
    "pdf": pdf.inspect_unmarked,
    **dict.fromkeys(("xml", "xsl", "xslt"), html.inspect_page_of_xml),
    **dict.fromkeys(launchers.LAUNCHER_SUFFIXES, launchers.inspect_launcher),
    **dict.fromkeys(("csv", "slk"), office_xml.inspect_table_text),
    **dict.fromkeys(("url", "website"), scripts.inspect_link_file),
    "one": scripts.inspect_note,
}
_ONE_NOTE = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")


def examine(part: Part) -> tuple[Trait, ...]:
    """The traits of one part by itself, each once."""
    found: dict[str, Trait] = {}
    for inspector in _inspectors(part):
        for one in inspector(part):
            found.setdefault(one.rule, one)
    return tuple(found.values())


def _inspectors(part: Part) -> Iterator[Inspector]:
    if part.kind in (PartKind.MULTIPART, PartKind.MESSAGE):
        return
    named = bool(part.names)
    if named:
        yield names.inspect_names
        yield names.inspect_disguise
    if part.opaque or not part.size:
        return
    by_type = _BY_TYPE.get(part.detected_type)
    chosen = {by_type} if by_type else set()
    chosen.update(_BY_SUFFIX[one] for one in suffixes(part) if one in _BY_SUFFIX)
    chosen.update(_by_content(part, named))
    if hiding.is_disk_image(part):
        chosen.add(hiding.inspect_disk_image)
    if by_type and by_type is not html.inspect_html:
        # A program called .js or a document called .htm is what its content is.
        chosen -= {scripts.inspect_script, html.inspect_html, office_xml.inspect_table_text}
    yield from sorted(chosen, key=lambda inspector: inspector.__name__)


def _by_content(part: Part, named: bool) -> Iterator[Inspector]:
    kind = part.detected_type
    if kind == "text/html" and (named or part.disposition == "attachment"):
        yield html.inspect_html
    elif kind == "application/xml":
        yield office_xml.inspect_office_xml
        yield html.inspect_page_of_xml
        yield office_xml.inspect_basic
    elif not kind and part.head(16) == _ONE_NOTE:
        yield scripts.inspect_note
    if part.kind is PartKind.MEMBER:
        path = member_path(part)
        if "/embeddings/" in path:
            yield office_xml.inspect_embedded
        if path.startswith("/scripts/"):
            yield office_xml.inspect_odf_script
        if path.startswith("/basic/") or path == "/content.xml":
            yield office_xml.inspect_basic
        if path.startswith("/xl/") and path.endswith(".bin"):
            yield office_xml.inspect_binary_sheet
        if path and is_markup(part.head(64)):
            yield office_xml.inspect_office_xml
