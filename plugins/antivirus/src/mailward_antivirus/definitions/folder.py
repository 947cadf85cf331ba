"""A set of definitions in a folder: plain files, and a manifest that says what they have to be.

    manifest.json        {"version": "2026-11-26", "files": {"own.hdb": "<sha256>", …}}; may be missing
    *.hdb *.hsb *.ndb    signatures in ClamAV's forms
    *.yar *.yara         rules for yara-x
    mass-mailers.txt     masks of names of viruses that mail themselves, one a line (SMS-AV-04)
    self-test.json       samples that the set has to find
    data/NAME            what engines read by name, such as the weights of the heuristics

Nothing in a set is run, and no name in it leads out of its folder: links and other things than plain
files are refused, as are names of other characters than letters, digits, ``.``, ``_`` and ``-``.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

MANIFEST = "manifest.json"
DATA = "data"
MASS_MAILERS = "mass-mailers.txt"
SELF_TEST = "self-test.json"
MAX_FILES = 1000
MAX_TOTAL_BYTES = 2 * 1024**3
MAX_SMALL_FILE_BYTES = 64 * 1024**2
"""Manifest, samples and data files are read whole."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STEP_BYTES = 1024 * 1024


class DefinitionError(ValueError):
    """A set of definitions cannot be used; the text says which file and why."""


@frozen
class Definitions:
    """One set. ``version`` is what its maker calls it, ``digest`` says what is in it: equal digests, equal sets."""

    version: str = ""
    digest: str = ""
    folder: Path | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Definitions:
        """The set in ``folder``, every file checked. Raises DefinitionError."""
        try:
            digests = {name: _sha256(folder / name) for name in sorted(_names(folder))}
            manifest = _manifest(folder) if MANIFEST in digests else {}
        except OSError as error:
            raise DefinitionError(f"definitions: {folder} cannot be read: {error.strerror or error}") from error
        digests.pop(MANIFEST, None)
        if not digests:
            raise DefinitionError(f"definitions: {folder} holds no definitions")
        if manifest:
            _compare(folder, manifest["files"], digests)
        lines = "".join(f"{value} {name}\n" for name, value in digests.items())
        digest = hashlib.sha256(lines.encode()).hexdigest()
        return cls(manifest.get("version") or f"sha256-{digest[:12]}", digest, folder, tuple(digests))

    def files(self, *suffixes: str) -> tuple[Path, ...]:
        """The files whose names end so, in order of their names."""
        if self.folder is None:
            return ()
        return tuple(self.folder / name for name in self.names if "/" not in name and name.lower().endswith(suffixes))

    def data(self, name: str) -> bytes | None:
        """The content of the data file ``name``, such as ``"heuristics.toml"``; None where the set has none."""
        if self.folder is None or f"{DATA}/{name}" not in self.names:
            return None
        return read_small(self.folder / DATA / name)

    def text(self, name: str) -> str:
        """The text of the file ``name``; empty where the set has none. Raises DefinitionError."""
        if self.folder is None or name not in self.names:
            return ""
        try:
            return read_small(self.folder / name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DefinitionError(f"definitions: {name} is not UTF-8: {error}") from error

    def __bool__(self) -> bool:
        return self.folder is not None


NO_DEFINITIONS = Definitions()


def read_small(path: Path) -> bytes:
    """The content of a file of at most `MAX_SMALL_FILE_BYTES`. Raises DefinitionError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SMALL_FILE_BYTES + 1)
    except OSError as error:
        raise DefinitionError(f"definitions: {path.name} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_SMALL_FILE_BYTES:
        raise DefinitionError(f"definitions: {path.name} is larger than {MAX_SMALL_FILE_BYTES} bytes")
    return content


def _names(folder: Path) -> Iterator[str]:
    """The names of all files of a set, those under `DATA` with its name before theirs; checked."""
    count = total = 0
    for place, prefix in ((folder, ""), (folder / DATA, f"{DATA}/")):
        if prefix and not place.is_dir():
            return
        for path in place.iterdir():
            if path == folder / DATA:
                continue
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise DefinitionError(f"definitions: {prefix}{path.name} is no plain file; allowed: plain files")
            if not _NAME.fullmatch(path.name):
                raise DefinitionError(f"definitions: {path.name!a} is no name that a set may hold")
            count, total = count + 1, total + status.st_size
            if count > MAX_FILES or total > MAX_TOTAL_BYTES:
                raise DefinitionError(
                    f"definitions: {folder} holds more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes"
                )
            yield prefix + path.name


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_STEP_BYTES):
            state.update(piece)
    return state.hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(read_small(folder / MANIFEST))
    except ValueError as error:
        raise DefinitionError(f"definitions: {MANIFEST} is no JSON: {error}") from error
    version = manifest.get("version") if isinstance(manifest, dict) else None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(version, str) or not _NAME.fullmatch(version):
        raise DefinitionError(f"definitions: {MANIFEST} has no version; allowed: letters, digits, '.', '_' and '-'")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise DefinitionError(f"definitions: {MANIFEST} has no table 'files' of names and SHA-256 digests")
    return manifest


def _compare(folder: Path, wanted: dict[str, str], found: dict[str, str]) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise DefinitionError(f"definitions: {name} is named in {MANIFEST} and missing")
        if name not in wanted:
            raise DefinitionError(f"definitions: {name} is not named in {MANIFEST}")
        if wanted[name].lower() != found[name]:
            raise DefinitionError(f"definitions: {name} is not what {MANIFEST} says: it was changed or cut short")
