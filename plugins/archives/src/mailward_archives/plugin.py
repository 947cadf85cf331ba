"""The archives plugin: has parts opened, and says which formats cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from mailward import Check, Finding, Member, OnFailure, Part, Place, Plugin, hookimpl
from mailward_archives.settings import ArchivesSettings

if TYPE_CHECKING:
    from mailward_archives.opener import Opener


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

    def setup(self) -> None:
        """Make the readers ready; the gateway opens nothing, so it has none."""
        self._opener: Opener | None = None
        if self.context.place is not Place.GATEWAY:
            # here, because the gateway would load a dozen libraries for nothing, and these are read by nobody else
            from mailward_archives.opener import Opener

            self._opener = Opener(self.settings)

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
        if not lacking and self._opener is not None:
            yield Check("readers", detail=f"{self._opener.formats} formats")
        for needs, names in lacking.items():
            yield Check(
                needs,
                ok=False,
                warning=True,
                detail=f"not opened, and reported as such: {', '.join(names)}",
                advice="install it, or switch the formats off with archives.without",
            )

    def _missing(self) -> Iterator[tuple[str, str]]:
        return iter(()) if self._opener is None else self._opener.missing()

    @hookimpl
    def unpack(self, part: Part) -> Iterator[Member | Finding] | None:
        """The members of a container, by the type that its content shows."""
        if self._opener is None or part.opaque or not part.is_leaf:
            return None
        return self._opener.open(part)
