"""Which parts are scanned: by extension (SAV-AV-02, SMS-SCAN-01, IMA-EXT).

A list of extensions speaks of files, and judges members, not containers: a container is opened whatever
its own extension, unless `open_excluded_containers` is off. Every name that some client may show counts,
and so does the type that the content shows: a program that is named ``.txt`` is a program. Bodies without
a name are no files and always scanned, unless the list is told to (``""``, files without an extension).
"""

from __future__ import annotations

from attrs import frozen

from mailward import Part, PartKind
from mailward_antivirus.rules import Choice
from mailward_antivirus.settings import AntivirusSettings

_EXTENSIONS_OF: dict[str, frozenset[str]] = {
    "application/x-dosexec": frozenset((".exe", ".dll", ".com", ".scr", ".sys", ".cpl", ".ocx", ".pif", ".drv")),
    "application/x-elf": frozenset((".elf", ".so", ".o", ".bin")),
    "application/x-mach-binary": frozenset((".macho", ".dylib", ".o", ".bin")),
    "application/x-ole-storage": frozenset((".doc", ".xls", ".ppt", ".msi", ".msg", ".dot", ".xlt", ".pps", ".vsd")),
    "application/zip": frozenset(
        (".zip", ".jar", ".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".pptm", ".odt", ".ods", ".apk", ".xpi")
    ),
    "application/x-ms-shortcut": frozenset((".lnk",)),
    "application/java-vm": frozenset((".class",)),
    "application/vnd.ms-htmlhelp": frozenset((".chm",)),
    "application/rtf": frozenset((".rtf", ".doc")),
    "application/pdf": frozenset((".pdf",)),
    "text/html": frozenset((".html", ".htm", ".hta", ".shtml", ".xhtml")),
    "text/x-script": frozenset((".sh", ".py", ".pl", ".rb")),
    "image/svg+xml": frozenset((".svg",)),
}
"""The extensions under which a content of this type is a file of its kind; other types say nothing."""


def _entries(lists: tuple[str, ...]) -> frozenset[str]:
    """IMA-EXT-02: an empty entry stands for files without an extension; one at the end of a list does not."""
    found: set[str] = set()
    for text in lists:
        entries = [entry.strip().lower() for entry in text.split(";")]
        if len(entries) > 1 and not entries[-1]:
            entries.pop()
        found.update(entries)
    return frozenset(found)


@frozen
class Selection:
    """The choice that the settings make; `everything` where they make none."""

    choice: Choice = Choice.ALL
    extensions: frozenset[str] = frozenset()
    open_excluded_containers: bool = True

    @classmethod
    def of(cls, settings: AntivirusSettings) -> Selection:
        """What the settings say. An empty list of extensions leaves nothing out (IMA-EXT-03)."""
        extensions = _entries(settings.extensions)
        choice = settings.scan if settings.extensions else Choice.ALL
        return cls(choice, extensions, settings.open_excluded_containers)

    @property
    def everything(self) -> bool:
        """Whether no part is left out."""
        return self.choice is Choice.ALL

    def reason(self, part: Part) -> str:
        """Why ``part`` is not scanned; empty where it is."""
        reason = self._by_extension(part)
        if reason or self.open_excluded_containers:
            return reason
        above = part.parent
        while above is not None:
            if above.is_leaf and (reason := self._by_extension(above)):
                return f"in {above.path}: {reason}"
            above = above.parent
        return ""

    def _by_extension(self, part: Part) -> str:
        if self.choice is Choice.ALL:
            return ""
        names = [name.text for name in part.names if name.text]
        if not names and part.kind is not PartKind.MEMBER and "" not in self.extensions:
            return ""
        shown = {_extension(name) for name in names} or {""}
        true = _EXTENSIONS_OF.get(part.detected_type, frozenset())
        if self.choice is Choice.INCLUDE:
            return "" if self.extensions & (shown | true) else "its extension is not in the list"
        left_out = shown <= self.extensions and (not true or bool(true & self.extensions))
        return "its extension is in the list" if left_out else ""


def _extension(name: str) -> str:
    """The last suffix with its dot, in lower case (IMA-EXT-04); blanks and dots at the end are none, as in Windows."""
    base = name.replace("\\", "/").rpartition("/")[2].rstrip(". ").lower()
    _, dot, suffix = base.rpartition(".")
    return dot + suffix if dot else ""
