"""Rules that hold something about each part against a list of masks: file names, file types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from mailward import Action, Masks, Message, Part, Scan, Template
from mailward_content.attachment import Reach, by_target
from mailward_content.rule import Hit


@frozen
class PartMasks:
    """The rule ``name`` with its settings: ``masks`` are not let through, but for what ``but`` matches.

    ``texts`` gives what is held against the masks of a part; one text that matches is enough.
    """

    name: str
    texts: Callable[[Part], Iterable[str]]
    masks: Masks
    but: Masks
    action: Action
    text: Template
    reach: Reach = Reach.ATTACHMENT

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """One hit for each attachment that holds a match, in the order of the message."""
        for path, mask, detail in by_target(self._matches(message), self.reach):
            yield Hit(self.name, path, mask, detail, self.action, self.text)

    def _matches(self, message: Message) -> Iterator[tuple[Part, str, str]]:
        for part in message.walk():
            for text in self.texts(part):
                mask = self.masks.which(text)
                if mask is not None and not self.but.match(text):
                    yield part, mask, repr(text)
                    break
