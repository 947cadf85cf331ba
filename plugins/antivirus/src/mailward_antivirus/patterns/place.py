"""Where a signature may begin in one content."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from mailward_antivirus.patterns.executable import NO_LAYOUT, Layout, Section
from mailward_antivirus.patterns.signature import Base, Offset

ANYWHERE = (0, 1 << 62)
NOWHERE = (0, -1)


@define
class Surface:
    """What has to be known of one content to place signatures on it; looked up when a hit asks for it."""

    size: int
    kind: Callable[[], str]
    read_layout: Callable[[], Layout]
    _layout: Layout | None = field(default=None, init=False)

    @property
    def layout(self) -> Layout:
        """Entry point and sections; read once."""
        if self._layout is None:
            self._layout = self.read_layout()
        return self._layout

    def fits(self, kind: str) -> bool:
        """Whether the content is of the kind that a signature is meant for."""
        return not kind or self.kind().startswith(kind)

    def starts(self, offset: Offset) -> tuple[int, int]:
        """The first and the last place where a signature with this offset may begin; `NOWHERE` where there is none."""
        match offset.base:
            case Base.ANY:
                return ANYWHERE
            case Base.START:
                first = offset.number
            case Base.END:
                first = self.size - offset.number
            case Base.ENTRY:
                if self.layout.entry is None:
                    return NOWHERE
                first = self.layout.entry + offset.number
            case Base.SECTION | Base.WITHIN:
                section = self._section(offset.section)
                if section is None:
                    return NOWHERE
                if offset.base is Base.WITHIN:
                    return section.start, section.start + section.size + offset.shift
                first = section.start + offset.number
        return (first, first + offset.shift) if first >= 0 else NOWHERE

    def _section(self, number: int) -> Section | None:
        sections = self.layout.sections
        return sections[number] if -len(sections) <= number < len(sections) else None


def no_layout() -> Layout:
    """For contents that have none."""
    return NO_LAYOUT
