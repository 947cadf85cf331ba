"""Who opens a part: the reader of the type that its content shows, and what is said where none can."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from attrs import frozen

from mailward import CONTAINER_TYPES, Finding, Member, Part, unpack_zip
from mailward_archives import cms, iso, office, pdf, pgp, sevenzip
from mailward_archives.base64file import read_base64_file
from mailward_archives.content import unopened
from mailward_archives.dmg import APPLE_TYPE
from mailward_archives.hidden import read_hidden
from mailward_archives.mbox import read_emlx
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


@frozen
class Opener:
    """All readers, under the settings of one instance."""

    settings: ArchivesSettings

    @property
    def formats(self) -> int:
        """How many formats there are readers for."""
        return len(FORMATS)

    def missing(self) -> Iterator[tuple[str, str]]:
        """What is not read here, and what it would need."""
        for one in FORMATS:
            if self.settings.reads(one.name) and (needs := one.missing()):
                yield one.name, needs
        if self.settings.reads("ole") and (needs := office.missing()):
            yield "encrypted documents", needs
        if self.settings.try_passwords and (needs := sevenzip.missing()):
            yield "archives with passwords", needs

    def open(self, part: Part) -> Iterator[Member | Finding] | None:
        """The members of a container, by the type that its content shows, and of what else is in the same bytes.

        Which of several formats a client opens depends on the client and the name: a second one must not
        keep the first from being opened, or from being reported.
        """
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
        if not kind and self.settings.reads("lzma") and part.is_named(".lzma"):
            yield iter((unopened(part, "lzma: of a form that is not read"),))
        if self.settings.reads("cms"):
            yield cms.read_declared(part)
        if self.settings.reads("pgp") and pgp.is_pgp(part):
            yield pgp.read_pgp(part)
        if self.settings.reads("mbox"):
            yield read_emlx(part)
        if self.settings.reads("base64"):
            yield read_base64_file(part)
        yield read_text(part, self.settings)
        if self.settings.reads("hidden") and (kind not in _HOLDERS or part.is_named(_OPENED_ANYWHERE)):
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
        if (not kind and not part.declared_type.startswith("text/")) or part.is_named(_ISO_NAMES):
            # The first kilobyte of a disc image says nothing.
            return _ISO_TYPE if iso.identifiers(part) else kind
        return kind
