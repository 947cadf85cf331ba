"""Container limits of a policy, tighter than those that hold for every message (SAV-BLK-05, SMS-CONT-04).

The core enforces ``[limits]`` while it takes a message apart. What is counted here is what it found: the message
is the container, each MIME header counts as a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen
from attrs.validators import optional

from mailward import Action, ByteSize, Kind, Message, Part, Scan, Template, between, setting
from mailward_content.file_types import is_object
from mailward_content.rule import Hit

LIMIT_TEXT = "{{ filename or 'This message' }} was removed by {{ hostname }}: {{ reason }}.\n"

CORE_LIMITS = (
    *("max_depth", "max_parts", "max_part_bytes", "max_total_bytes", "max_ratio"),
    *("max_header_bytes", "max_headers", "max_time_s"),
)
"""The names of limits in findings of the core."""


@frozen
class Maxima:
    """``[content.limits]``: what one message may hold; what is not set is not limited here."""

    max_depth: int | None = setting(None, validator=optional(between(1, 1000)), help="levels of parts within parts")
    max_files: int | None = setting(
        None, validator=optional(between(1, 10**9)), help="files: bodies, attachments, members, and MIME headers"
    )
    max_file_bytes: ByteSize | None = setting(
        None, validator=optional(between(1, 2**50)), help="unpacked size of one file"
    )
    max_files_bytes: ByteSize | None = setting(
        None, validator=optional(between(1, 2**50)), help="unpacked size of all files together"
    )


def _depth(parts: list[Part]) -> tuple[int, str]:
    deepest = max(parts, key=lambda part: part.depth)
    return deepest.depth, deepest.path


def _files(parts: list[Part]) -> tuple[int, str]:
    return sum(is_object(part) + (len(part.headers) > 0) for part in parts), ""


def _largest(parts: list[Part]) -> tuple[int, str]:
    largest = max(filter(is_object, parts), key=lambda part: part.size, default=None)
    return (0, "") if largest is None else (largest.size, largest.path)


def _all_bytes(parts: list[Part]) -> tuple[int, str]:
    return sum(part.size for part in parts if is_object(part) and not part.children), ""


MEASURES: dict[str, Callable[[list[Part]], tuple[int, str]]] = {
    "max_depth": _depth,
    "max_files": _files,
    "max_file_bytes": _largest,
    "max_files_bytes": _all_bytes,
}
"""How each limit is measured: its value in a message, and the part that has it (empty: the message)."""


@frozen
class ContainerLimits:
    """The rule with its settings: ``actions`` by name of the limit, ``action`` for all others."""

    maxima: Maxima
    action: Action | None
    actions: Mapping[str, Action]
    text: Template

    @property
    def is_set(self) -> bool:
        """Whether anything is limited."""
        return any(self._maximum(name) is not None for name in MEASURES)

    def _maximum(self, name: str) -> Any:
        return getattr(self.maxima, name)

    def look(self, message: Message, scan: Scan) -> Iterator[Hit]:
        """One hit for each limit that the message exceeds."""
        parts = list(message.walk())
        for name, measure in MEASURES.items():
            most = self._maximum(name)
            if most is None:
                continue
            value, path = measure(parts)
            if value > most:
                detail = f"{name} = {most} exceeded: {value}"
                yield Hit("limit", path, name, detail, self.actions.get(name, self.action), self.text, Kind.LIMIT)
