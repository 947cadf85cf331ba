"""The supervisor's own files in the state folder: who runs here, whether the last end was good, switches."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

import msgspec
from attrs import evolve

from mailward.values.errors import MailwardError
from mailward.values.switches import Switches

DEFAULT_FOLDER = "mailward-data"
"""What ``spool.path`` is where the configuration does not say it."""
PID_FILE = "mailward.pid"
SWITCHES_FILE = "switches.json"
_MODE = 0o600


class StateProblem(MailwardError):
    """The state folder cannot be used: by another program in use, no permission, disk full."""


class StateFolder:
    """Locked for as long as the program runs.

    ``mailward.pid`` holds the process id while it runs, and is empty after an end in good order:
    whoever finds an id there, and the lock free, knows of a crash.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PID_FILE
        self._switches = folder / SWITCHES_FILE
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _MODE)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
                os.close(self._fd)
                raise StateProblem(f"{folder}: Mailward runs here already, as process {pid or '?'}") from None
            self.after_crash = bool(os.pread(self._fd, 20, 0).strip())
        except OSError as error:
            raise StateProblem(f"{self._path}: {error.strerror}") from error

    def begin(self) -> None:
        """Note that the program runs. Raises StateProblem."""
        self._write(f"{os.getpid()}\n".encode())

    def end(self) -> None:
        """Note that it ended in good order. Raises StateProblem."""
        self._write(b"")

    def close(self) -> None:
        """Let the lock go."""
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, data, 0)
            os.fsync(self._fd)
        except OSError as error:
            raise StateProblem(f"{self._path}: {error.strerror}") from error

    def switches(self) -> Switches:
        """The switches as they were left for the next run; all on where none were. Raises StateProblem."""
        try:
            return msgspec.json.decode(self._switches.read_bytes(), type=Switches)
        except FileNotFoundError:
            return Switches()
        except (OSError, msgspec.MsgspecError) as error:
            # starting with everything on would do what an operator had forbidden
            raise StateProblem(f"{self._switches}: cannot be read: {error}; mend or delete it") from error

    def keep(self, switch: str, on: bool, *, persist: bool) -> None:
        """Keep a switch for the next run: off only where asked to, on always. Raises StateProblem."""
        before = self.switches()
        if on is getattr(before, switch) or (not on and not persist):
            return
        data = msgspec.json.encode(evolve(before, **{switch: on}))
        new = self._switches.with_suffix(".new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            new.rename(self._switches)
            self._sync_folder()
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink()
            raise StateProblem(f"{self._switches}: {error.strerror}") from error

    def _sync_folder(self) -> None:
        fd = os.open(self._switches.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
