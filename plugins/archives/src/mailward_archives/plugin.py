"""The archives plugin: looks the reader of a part up, and says which ones cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mailward import Check, Finding, Member, OnFailure, Part, Plugin, hookimpl
from mailward_archives import iso, office, pdf, sevenzip
from mailward_archives.content import unopened
from mailward_archives.dmg import APPLE_TYPE
from mailward_archives.hidden import read_hidden
from mailward_archives.settings import ArchivesSettings
from mailward_archives.table import BY_TYPE, FORMATS, Format
from mailward_archives.text import read_text

_ZIP_TYPE = "application/zip"
_PDF_TYPE = "application/pdf"
_ISO_TYPE = "application/x-iso9660-image"
_ISO_NAMES = (".iso", ".img", ".udf", ".bin", ".cdr")


class Archives(Plugin):
    """Opens containers that the core does not open itself.

    A failure leaves the part unchecked rather than deferring the mail: a damaged archive stays
    damaged however often it comes.
    """

    Settings = ArchivesSettings
    on_failure: ClassVar[OnFailure] = OnFailure.UNCHECKED
    timeout_s: ClassVar[float] = 120.0
    version: ClassVar[str] = "0.1.0"

    settings: ArchivesSettings

    @hookimpl
    def start(self) -> None:
        """Tell the log which formats cannot be read here."""
        for name, needs in self._missing():
            self.context.log.warning("archive format is not read", format=name, needs=needs)

    @hookimpl
    def check(self) -> Iterator[Check]:
        """One check for each package or program that readers need."""
        lacking: dict[str, list[str]] = {}
        for name, needs in self._missing():
            lacking.setdefault(needs, []).append(name)
        if not lacking:
            yield Check("readers", detail=f"{len(FORMATS)} formats")
        for needs, names in lacking.items():
            yield Check(
                needs,
                ok=False,
                warning=True,
                detail=f"not opened, and reported as such: {', '.join(names)}",
                advice="install it, or switch the formats off with archives.without",
            )

    def _missing(self) -> Iterator[tuple[str, str]]:
        for one in FORMATS:
            if self.settings.reads(one.name) and (needs := one.missing()):
                yield one.name, needs
        if self.settings.reads("ole") and (needs := office.missing()):
            yield "encrypted documents", needs
        if self.settings.try_passwords and (needs := sevenzip.missing()):
            yield "archives with passwords", needs

    @hookimpl
    def unpack(self, part: Part) -> Iterator[Member | Finding] | None:
        """The members of a container, by the type that its content shows."""
        if part.opaque or not part.is_leaf:
            return None
        kind = self._type(part)
        found = BY_TYPE.get(kind)
        if found is not None and (not self.settings.reads(found.name) or found.missing()):
            return self._unread(part, kind, found)
        answer = None if found is None else found.reader(part, self.settings)
        if answer is None:
            answer = read_text(part, self.settings)
        if answer is None and kind != _ZIP_TYPE and self.settings.reads("hidden"):
            answer = read_hidden(part)
        return answer

    def _unread(self, part: Part, kind: str, one: Format) -> Iterator[Finding] | None:
        """What the core does not report by itself: it cannot tell a disc image, and a PDF is seldom a container."""
        wanted = self.settings.reads(one.name)
        needs = one.missing() if wanted else "to be switched on"
        may_hold = kind == _PDF_TYPE and (pdf.holds_files(part) or (wanted and pdf.may_hold_files(part)))
        return iter((unopened(part, f"{one.name}: needs {needs}"),)) if kind == _ISO_TYPE or may_hold else None

    def _type(self, part: Part) -> str:
        kind = part.detected_type
        if kind == APPLE_TYPE:
            return kind
        if (not kind and not part.declared_type.startswith("text/")) or part.filename.lower().endswith(_ISO_NAMES):
            # The first kilobyte of a disc image says nothing.
            return _ISO_TYPE if iso.identifiers(part) else kind
        return kind
