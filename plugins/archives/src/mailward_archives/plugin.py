"""The archives plugin: looks the reader of a part up, and says which ones cannot read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

from mailward import CONTAINER_TYPES, Check, Finding, Member, OnFailure, Part, Plugin, hookimpl, unpack_zip
from mailward_archives import cms, iso, office, pdf, pgp, sevenzip
from mailward_archives.content import unopened
from mailward_archives.dmg import APPLE_TYPE
from mailward_archives.hidden import read_hidden
from mailward_archives.settings import ArchivesSettings
from mailward_archives.table import BY_TYPE, FORMATS, Format
from mailward_archives.text import read_text

_ZIP_TYPE = "application/zip"
_PDF_TYPE = "application/pdf"
_ISO_TYPE = "application/x-iso9660-image"
_HOLDERS = CONTAINER_TYPES | {"application/x-ole-storage", _ISO_TYPE}
_OPENED_ANYWHERE = (".rar", ".7z", ".cab", ".exe")
_IN_TEXTS = ("application/mac-binhex40", "application/mbox")
_ISO_NAMES = (".iso", ".img", ".udf", ".bin", ".cdr")


def _named(part: Part, suffixes: tuple[str, ...]) -> bool:
    return any(name.text.lower().endswith(suffixes) for name in part.names)


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
        """The members of a container, by the type that its content shows, and of what else is in the same bytes.

        Which of several formats a client opens depends on the client and the name: a second one must not
        keep the first from being opened, or from being reported.
        """
        if part.opaque or not part.is_leaf:
            return None
        kind = self._type(part)
        found = BY_TYPE.get(kind)
        unread = found is not None and (not self.settings.reads(found.name) or found.missing())
        if found is None:
            first = None
        else:
            first = self._unread(part, kind, found) if unread else found.reader(part, self.settings)
        further = [answer for answer in self._further(part, kind) if answer is not None]
        if first is None and further:
            first = self._container(part, kind)
        answers = further if first is None else [first, *further]
        return itertools.chain.from_iterable(answers) if answers else None

    def _further(self, part: Part, kind: str) -> Iterator[Iterator[Member | Finding] | None]:
        """What is found in content of whatever type."""
        if kind != _PDF_TYPE and self.settings.reads("pdf") and pdf.stands_within(part):
            yield (
                self._unread(part, _PDF_TYPE, BY_TYPE[_PDF_TYPE])
                if pdf.missing()
                else pdf.read_pdf(part, self.settings)
            )
        if not kind and self.settings.reads("lzma") and _named(part, (".lzma",)):
            yield iter((unopened(part, "lzma: of a form that is not read"),))
        if self.settings.reads("cms"):
            yield cms.read_declared(part)
        if self.settings.reads("pgp") and pgp.is_pgp(part):
            yield pgp.read_pgp(part)
        yield read_text(part, self.settings)
        if self.settings.reads("hidden") and (kind not in _HOLDERS or _named(part, _OPENED_ANYWHERE)):
            yield read_hidden(part)

    def _container(self, part: Part, kind: str) -> Iterator[Member | Finding] | None:
        """What is to be said of a container that has no reader here, where something else was found in its bytes."""
        if kind == _ZIP_TYPE:
            return iter(unpack_zip(part) or ())
        if kind in CONTAINER_TYPES and kind not in _IN_TEXTS:
            return iter((unopened(part, f"no reader for {kind}"),))
        return None

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
        if (not kind and not part.declared_type.startswith("text/")) or _named(part, _ISO_NAMES):
            # The first kilobyte of a disc image says nothing.
            return _ISO_TYPE if iso.identifiers(part) else kind
        return kind
