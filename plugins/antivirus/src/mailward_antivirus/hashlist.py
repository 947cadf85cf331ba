"""Lists of digests of known viruses, in the two forms that ClamAV reads.

    .hdb   md5:size:name                  .hsb   sha1:size:name  or  sha256:size:name

``size`` is the length in bytes, or ``*`` for any. Fields after the name (ClamAV's functionality
levels) are numbers; they concern ClamAV's own versions and are not used. Empty lines and lines
that start with ``#`` are passed over.
"""

from __future__ import annotations

import re
from typing import Literal

from attrs import field, frozen

from mailward import Part

_LINE = re.compile(r"([0-9A-Fa-f]+):(\d{1,15}|\*):([^:\s][^:]*)((?::\d+){0,2})")
Algorithm = Literal["md5", "sha1", "sha256"]
_ALGORITHMS: dict[str, dict[int, Algorithm]] = {".hdb": {32: "md5"}, ".hsb": {40: "sha1", 64: "sha256"}}
FORMS = {".hdb": "md5:size:name", ".hsb": "sha1:size:name or sha256:size:name"}
ANY_SIZE = -1


@frozen
class Digests:
    """The digests of one algorithm: ``sizes`` are those that any of them has."""

    algorithm: Algorithm
    names: dict[tuple[int, bytes], str] = field(factory=dict)
    sizes: set[int] = field(factory=set)

    def add(self, size: int, digest: bytes, name: str) -> None:
        """Take one signature in; of two with the same digest and size the first stays."""
        self.names.setdefault((size, digest), name)
        self.sizes.add(size)

    def find(self, part: Part) -> str | None:
        """The name of the virus that the content of ``part`` is, or None. Hashes only where a size fits."""
        size = part.size
        sized, any_size = size in self.sizes, ANY_SIZE in self.sizes
        if not sized and not any_size:
            return None
        digest = bytes.fromhex(part.digest(self.algorithm))
        found = self.names.get((size, digest)) if sized else None
        return found or (self.names.get((ANY_SIZE, digest)) if any_size else None)


@frozen
class HashList:
    """The signatures of all files, one `Digests` for each algorithm that occurs."""

    digests: dict[Algorithm, Digests] = field(factory=dict)

    def add(self, suffix: str, line: str) -> None:
        """Take in one line of a file whose name ends in ``suffix``. ValueError says what is wrong with it."""
        match = _LINE.fullmatch(line)
        algorithm = _ALGORITHMS[suffix].get(len(match[1])) if match else None
        if match is None or algorithm is None:
            raise ValueError(f"{line[:100]!r} is no signature; allowed: {FORMS[suffix]}, size a number or *")
        digests = self.digests.setdefault(algorithm, Digests(algorithm))
        digests.add(ANY_SIZE if match[2] == "*" else int(match[2]), bytes.fromhex(match[1]), match[3])

    def find(self, part: Part) -> str | None:
        """The name of the virus that the content of ``part`` is, or None."""
        for digests in self.digests.values():
            if name := digests.find(part):
                return name
        return None

    def __len__(self) -> int:
        return sum(len(digests.names) for digests in self.digests.values())
