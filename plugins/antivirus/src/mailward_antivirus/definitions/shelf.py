"""The shelf: sets of definitions on disk, the one in use, and the one that was in use before.

SHELF/sets/VERSION-DIGEST/     the sets, never changed once they stand here
SHELF/current, SHELF/previous  links to two of them; another set comes into use by one rename
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from mailward_antivirus.definitions.folder import MANIFEST, DefinitionError, Definitions
from mailward_antivirus.files import sync_folder

_SETS = "sets"
_CURRENT = "current"
_PREVIOUS = "previous"

Proof = Callable[[Definitions], object]
"""Raises DefinitionError where a set is not fit for use."""


@frozen
class Shelf:
    """The sets under ``root``. Every change is atomic: whoever looks sees the old set or the new one, whole."""

    root: Path

    def current_name(self) -> str:
        """What tells the set in use from every other one; empty where there is none. Cheap: one system call."""
        try:
            return os.readlink(self.root / _CURRENT)
        except OSError:
            return ""

    def current(self) -> Definitions | None:
        """The set in use, or None. Raises DefinitionError where there is one and it is damaged."""
        return self._linked(_CURRENT)

    def previous(self) -> Definitions | None:
        """The set that was in use before, or None. Raises DefinitionError where it is damaged."""
        return self._linked(_PREVIOUS)

    def install(self, source: Path, prove: Proof) -> Definitions:
        """Copy the set in ``source``, prove the copy, and bring it into use.

        Raises DefinitionError where it is damaged or not proved; the set in use then stays.
        """
        Definitions.read(source)
        sets = self.root / _SETS
        sets.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".new-", dir=sets))
        try:
            _copy(source, staged)
            found = Definitions.read(staged)
            prove(found)
            _sync(staged)
            place = sets / f"{found.version}-{found.digest[:16]}"
            if not _holds(place, found):
                shutil.rmtree(place, ignore_errors=True)
                staged.rename(place)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        installed = Definitions.read(place)
        self._use(place)
        self._clean()
        return installed

    def rollback(self, prove: Proof) -> Definitions:
        """Bring the set that was in use before into use again. Raises DefinitionError where none fits."""
        found = self.previous()
        if found is None or found.folder is None:
            raise DefinitionError("definitions: there is no set to go back to")
        prove(found)
        self._use(found.folder)
        return found

    def _linked(self, link: str) -> Definitions | None:
        try:
            target = os.readlink(self.root / link)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DefinitionError(f"definitions: {link} is no link: {error.strerror}") from error
        return Definitions.read(self.root / target)

    def _use(self, place: Path) -> None:
        target = f"{_SETS}/{place.name}"
        before = self.current_name()
        if before and before != target:
            self._link(_PREVIOUS, before)
        self._link(_CURRENT, target)
        sync_folder(self.root)

    def _link(self, name: str, target: str) -> None:
        new = self.root / f".{name}-{os.getpid()}"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(self.root / name)

    def _clean(self) -> None:
        """Throw away sets that no link names; processes that still use one have read it already."""
        kept = {self.current_name(), _target(self.root / _PREVIOUS)}
        for place in (self.root / _SETS).iterdir():
            if f"{_SETS}/{place.name}" not in kept and not place.name.startswith("."):
                shutil.rmtree(place, ignore_errors=True)


def _holds(place: Path, wanted: Definitions) -> bool:
    """Whether the same set stands there already, undamaged."""
    try:
        return Definitions.read(place).digest == wanted.digest
    except DefinitionError:
        return False


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _copy(source: Path, target: Path) -> None:
    found = Definitions.read(source)
    names = (*found.names, MANIFEST) if (source / MANIFEST).is_file() else found.names
    try:
        for name in names:
            (target / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(source / name, target / name, follow_symlinks=False)
    except OSError as error:
        raise DefinitionError(f"definitions: cannot be copied: {error.strerror or error}") from error


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
