"""Content of members on its way to the core, and what is said where it ends too soon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define

from mailward import Finding, Kind, Part

PLUGIN = "archives"
CHUNK_BYTES = 256 * 1024
"""How much of a member is made at a time."""

_DETAIL_CHARACTERS = 200


def reason(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_DETAIL_CHARACTERS]}"


def unopened(part: Part, detail: str, name: str = "") -> Finding:
    """The finding that a container, or its member ``name``, could not be read, or not to its end."""
    return Finding(Kind.UNCHECKED, PLUGIN, "unopened", part.path, name, detail=detail)


def encrypted(part: Part, detail: str) -> Finding:
    """The finding that a container cannot be read because it is encrypted as a whole."""
    return Finding(Kind.ENCRYPTED, PLUGIN, "encrypted", part.path, detail=detail)


def multivolume(part: Part, detail: str) -> Finding:
    """The finding that a container goes on in another file."""
    return Finding(Kind.UNCHECKED, PLUGIN, "multivolume", part.path, detail=detail)


def limit(part: Part, name: str, detail: str) -> Finding:
    """The finding that a bound of a reader ended its work."""
    return Finding(Kind.LIMIT, PLUGIN, "limit", part.path, name, detail=detail)


def note(part: Part, rule: str, name: str, detail: str) -> Finding:
    """The finding of something that is worth knowing and harms nobody: a link, a device."""
    return Finding(Kind.NOTE, PLUGIN, rule, part.path, name, detail=detail)


@define
class Content:
    """The content of one member: ends where the library fails, and remembers why.

    What was read before the failure has been handed over: a client may show it.
    """

    chunks: Iterable[bytes]
    errors: tuple[type[BaseException], ...]
    failure: BaseException | None = None
    whole: bool = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.chunks
            self.whole = True
        except self.errors as error:
            self.failure = error

    @property
    def error(self) -> str:
        """Why it ended too soon, in one line; empty where it did not."""
        return "" if self.failure is None else reason(self.failure)
