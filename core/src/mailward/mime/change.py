"""What is to become of one part, when all edits of it are taken together."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from mailward.mime.errors import EditError
from mailward.mime.part import Part
from mailward.mime.scratch import same
from mailward.mime.source import Source


@frozen(slots=True)
class Change:
    """Replaced by ``texts``, else deleted, else given new ``content``.

    ``inside``: the new content comes from changes further inside, and this is to become of the part
    where it cannot take new content.
    """

    texts: tuple[str, ...] = ()
    filename: str = ""
    content: Source | None = None
    delete: bool = False
    inside: Change | None = None

    @property
    def removes(self) -> bool:
        """Whether the part goes."""
        return self.delete or bool(self.texts)

    @property
    def new_content(self) -> Source | None:
        """The content that the part is given, None where it goes."""
        return None if self.removes else self.content

    @property
    def careful(self) -> Change:
        """What happens in place of new content; without effect where the change is nothing else."""
        return self.inside if self.inside is not None else evolve(self, content=None)

    def joined(self, other: Change) -> Change:
        """Both changes of one part; raises EditError where each gives it another content."""
        content, inside = self.content or other.content, self.inside or other.inside
        texts = tuple(dict.fromkeys((*self.texts, *other.texts)))
        both = Change(texts, self.filename or other.filename, content, self.delete or other.delete, inside)
        if self.content is None or other.content is None or same(self.content, other.content):
            return both
        if inside is None:
            raise EditError("two different contents")
        # New content for the whole, and changes within the old: only taking it out does justice to both.
        return evolve(both, content=None, inside=None).joined(merged(self.careful, other.careful))


def merged(*changes: Change) -> Change:
    """Several changes as one of the part around them."""
    found = Change()
    for change in changes:
        found = found.joined(change.careful)
    return found


def outermost(changes: dict[Part, Change]) -> dict[Part, Change]:
    """The changes without those inside a part that changes too: what goes, goes with all that is in it.

    A part with new content goes as well where something inside it was to go.
    """
    found = dict(changes)
    for part in deepest_first(changes):
        above = part.parent
        while above is not None and above not in changes:
            above = above.parent
        if above is not None:
            change = found.pop(part)
            if not found[above].removes:
                found[above] = found[above].joined(change.careful)
    return found


def deepest_first(parts: Iterable[Part]) -> list[Part]:
    """The parts, those deepest in the tree first."""
    return sorted(parts, key=level, reverse=True)


def level(part: Part) -> int:
    """How many parts are around a part."""
    count = 0
    while part.parent is not None:
        part, count = part.parent, count + 1
    return count
