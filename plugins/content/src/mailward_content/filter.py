"""The filter by name and type (KAV-SCN-06): what it takes out is not scanned for viruses.

A part is filtered when its name matches ``names`` and none of ``names_except``, and its type matches ``types``
and none of ``types_except``. A list that is not set matches everything (``…_except``: nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from mailward import Action, Deliver, Kind, Masks, Message, Part, Repair, Scan, Tag, Template
from mailward_content.attachment import Reach, by_target
from mailward_content.file_names import names_of
from mailward_content.file_types import is_object, types_of
from mailward_content.rule import Hit

FILTER_TEXT = "{{ filename or 'A part of this message' }} was removed by {{ hostname }}: its kind is not allowed.\n"


def _matches(texts: list[str], masks: Masks, but: Masks, enough: Callable[[Iterable[bool]], bool]) -> bool:
    return enough((not masks or masks.match(text)) and not but.match(text) for text in texts)


@frozen
class Filter:
    """The filter with its settings.

    Where a part has several names or types, one that matches is enough for what is taken out, and all have
    to match for what is let through unscanned: an attacker chooses names, and in doubt the mail is safe.
    """

    names: Masks
    names_except: Masks
    types: Masks
    types_except: Masks
    action: Action
    text: Template
    reach: Reach = Reach.ATTACHMENT

    @property
    def is_set(self) -> bool:
        """Whether any of the lists is set; with none of them the filter is off."""
        return any((self.names, self.names_except, self.types, self.types_except))

    @property
    def lets_through(self) -> bool:
        """Whether what is filtered reaches the recipient as it is."""
        return isinstance(self.action, (Deliver, Repair, Tag))

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """One hit for each filtered part; inside archives for each attachment where it goes as a whole."""
        action = Deliver() if isinstance(self.action, Repair) else self.action
        reach = Reach.MEMBER if self.lets_through else self.reach
        for path, entry, detail in by_target(self._filtered(message), reach):
            yield Hit("filter", path, entry, detail, action, self.text, Kind.FILTERED)

    def _filtered(self, message: Message) -> Iterator[tuple[Part, str, str]]:
        enough = all if self.lets_through else any
        for part in message.walk():
            if not is_object(part):
                continue
            names, types = names_of(part) or [""], types_of(part)
            if _matches(names, self.names, self.names_except, enough) and _matches(
                types, self.types, self.types_except, enough
            ):
                yield part, "filter", f"{names[0]!r} of type {', '.join(types)}"
