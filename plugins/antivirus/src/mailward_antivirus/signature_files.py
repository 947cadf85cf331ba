"""Files of signatures, read: digests (.hdb, .hsb) and byte patterns (.ndb).

A line that is no signature is an error with file and line. One that is well formed and asks for something
that is not carried out here is counted by what it asks for: the count is told by ``mailward check`` and
``mailward definitions``, so that nobody relies on a signature that does nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

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
        """Read the files; ValueError names file and line of what cannot be read.

        Instances for several policies that read the same files share what was made of them.
        """
        files = [_File.read(path) for path in paths]
        state = hashlib.sha256()
        for file in files:
            state.update(f"{file.suffix} {len(file.text)}\n{file.text}".encode())
        known = _LOADED.get(state.digest())
        if known is None:
            known = _LOADED[state.digest()] = cls._of(files, state.hexdigest())
        return known

    @classmethod
    def _of(cls, files: Sequence[_File], digest: str) -> SignatureSet:
        reading = _Reading()
        for file in files:
            reading.file(file)
        patterns = PatternSet.of(reading.patterns)
        unsupported = tuple(sorted(reading.unsupported.items()))
        return cls(reading.hashes, patterns, unsupported, digest if reading.patterns else "")

    def __len__(self) -> int:
        return len(self.hashes) + len(self.patterns)


@frozen
class _File:
    """A file of signatures, read and not yet understood."""

    path: Path
    suffix: str
    text: str

    @classmethod
    def read(cls, path: Path) -> _File:
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(
                f"signatures: {path} is of no known form; allowed: file names that end in {', '.join(SUFFIXES)}"
            )
        try:
            return cls(path, suffix, path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"signatures: {path} cannot be read: {error}") from error


_LOADED: WeakValueDictionary[bytes, SignatureSet] = WeakValueDictionary()
"""What is in use, by the digest of its files."""


@define
class _Reading:
    hashes: HashList = field(factory=HashList)
    patterns: list[Signature] = field(factory=list)
    unsupported: Counter[str] = field(factory=Counter)

    def file(self, file: _File) -> None:
        for number, line in enumerate(file.text.split("\n"), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    self._line(file.suffix, line.strip())
                except ValueError as error:
                    raise ValueError(f"signatures: {file.path}, line {number}: {error}") from error

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
