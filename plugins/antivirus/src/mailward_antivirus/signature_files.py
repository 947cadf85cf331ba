"""Files of signatures, read: digests (.hdb, .hsb) and byte patterns (.ndb).

A line that is no signature is an error with file and line. One that is well formed and asks for something
that is not carried out here is counted by what it asks for: the count is told by ``mailward check`` and
``mailward definitions``, so that nobody relies on a signature that does nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field, frozen

from mailward_antivirus import hashlist
from mailward_antivirus.hashlist import HashList
from mailward_antivirus.patterns import PatternError, PatternSet, Signature, Unsupported, parse_line

SUFFIXES = (*hashlist.FORMS, ".ndb")


@frozen(eq=False)
class SignatureSet:
    """All signatures of some files. ``digest`` is that of all files, empty where they hold no patterns."""

    hashes: HashList
    patterns: PatternSet
    unsupported: tuple[tuple[str, int], ...] = ()
    digest: str = ""

    @classmethod
    def load(cls, paths: Iterable[Path]) -> SignatureSet:
        """Read the files; ValueError names file and line of what cannot be read."""
        reading = _Reading()
        for path in paths:
            reading.file(path)
        digest = reading.state.hexdigest() if reading.patterns else ""
        return cls(reading.hashes, PatternSet.of(reading.patterns), tuple(sorted(reading.unsupported.items())), digest)

    def __len__(self) -> int:
        return len(self.hashes) + len(self.patterns)


@define
class _Reading:
    hashes: HashList = field(factory=HashList)
    patterns: list[Signature] = field(factory=list)
    unsupported: Counter[str] = field(factory=Counter)
    state: hashlib._Hash = field(factory=hashlib.sha256)

    def file(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(
                f"signatures: {path} is of no known form; allowed: file names that end in {', '.join(SUFFIXES)}"
            )
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"signatures: {path} cannot be read: {error}") from error
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    self._line(suffix, line.strip())
                except ValueError as error:
                    raise ValueError(f"signatures: {path}, line {number}: {error}") from error
        self.state.update(f"{suffix} {len(text)}\n{text}".encode())

    def _line(self, suffix: str, line: str) -> None:
        if suffix != ".ndb":
            self.hashes.add(suffix, line)
            return
        try:
            self.patterns.append(parse_line(line))
        except Unsupported as error:
            self.unsupported[error.feature] += 1
        except PatternError as error:
            raise ValueError(str(error)) from error
