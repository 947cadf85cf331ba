"""Containers that can be written again: what their formats have in common (SAV-AV-06)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from mailward.mime.errors import MemberError
from mailward.mime.limits import MIB
from mailward.mime.names import Name, normalise
from mailward.mime.source import Source

_MOST_OF_ONE_NAME = 50
_MOST_BYTES = 256 * MIB
"""What is unpacked at most to find the members of one container."""


@frozen(slots=True)
class Substitute:
    """What a member gives way to: new content, under a new name where one is given."""

    content: Source
    name: str = ""


class Slot(Protocol):
    """A member of a container, as it lies there."""

    @property
    def names(self) -> Sequence[str]:
        """Every name of the member."""
        ...

    def content(self) -> Iterable[bytes]:
        """The content in bounded pieces; may raise MemberError."""
        ...


class Archive(Protocol):
    """A container whose every byte is accounted for, so that it can be written again.

    ``is_document``: its members are the pieces of one document, which is broken without any of them.
    """

    @property
    def slots(self) -> Sequence[Slot]:
        """The members in order."""
        ...

    @property
    def is_document(self) -> bool:
        """Whether no member can be missing."""
        ...

    def rewritten(self, substitutes: Mapping[int, Substitute]) -> Iterator[bytes]:
        """The container with some members, by their number, replaced; all other bytes of content kept."""
        ...


class Wanted(Protocol):
    """The part that is looked for among the slots."""

    @property
    def names(self) -> Sequence[Name]:
        """Its names."""
        ...

    @property
    def opaque(self) -> bool:
        """Whether it was not read."""
        ...

    def stream(self) -> Iterable[bytes]:
        """Its content."""
        ...


def find_slots(archive: Archive, wanted: Sequence[Wanted]) -> list[int] | None:
    """The number of the slot that each wanted part is, None where one of them is not found for certain.

    Name and content decide, not the order: what is replaced is what was looked at. Where a slot of the
    same name cannot be read, that one may be meant, and nothing is certain.
    """
    by_name = dict[str, list[int]]()
    for number, slot in enumerate(archive.slots):
        for key in dict.fromkeys(map(normalise, slot.names)):
            by_name.setdefault(key, []).append(number)
    digests, found, left = dict[int, bytes | None](), list[int](), _MOST_BYTES
    for part in wanted:
        keys = dict.fromkeys(name.text for name in part.names)
        numbers = dict.fromkeys(number for key in keys for number in by_name.get(key, ()))
        # The reader of a file with one member may have named it after the file itself.
        same_name = [0] if len(archive.slots) == 1 else list(numbers)
        if len(same_name) > _MOST_OF_ONE_NAME or part.opaque:
            return None
        for number in same_name:
            if number not in digests:
                digests[number], size = _digest(archive.slots[number].content(), left)
                left -= size
        digest, _ = _digest(part.stream(), _MOST_BYTES)
        matches = [number for number in same_name if digests[number] == digest and number not in found]
        if not matches or any(digests[number] is None for number in same_name):
            return None
        found.append(matches[0])
    return found


def _digest(chunks: Iterable[bytes], most: int) -> tuple[bytes | None, int]:
    """The digest of a content and its size; None where it is damaged or larger than ``most``."""
    digest, size = hashlib.sha256(usedforsecurity=False), 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                return None, size
            digest.update(chunk)
    except MemberError:
        return None, size
    return digest.digest(), size


def free_names(archive: Archive) -> Iterator[str]:
    """DELETED0.TXT, DELETED1.TXT and so on, without those that a member has already (SAV-AV-06)."""
    known = {normalise(name).lower() for slot in archive.slots for name in slot.names}
    number = 0
    while True:
        name = f"DELETED{number}.TXT"
        if name.lower() not in known:
            yield name
        number += 1
