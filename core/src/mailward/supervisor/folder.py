"""The supervisor's own files in the state folder: who runs here, whether the last end was good, switches."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
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
_PATIENCE_S = 1.0
_STEP_S = 0.05
_MOST_DIGITS = 20


class StateProblem(MailwardError):
    """The state folder cannot be used: by another program in use, no permission, disk full."""


class StateFolder:
    """Locked for as long as the program runs, by the kernel: whatever ends the program, the lock is free then.

    The lock is one of the folder itself, whichever way leads to it; deleting files in it frees nothing.
    ``mailward.pid`` holds the process id while the program runs, and is empty after an end in good order:
    whoever finds an id there, and the lock free, knows of a crash.
    """

    def __init__(self, folder: Path, patience_s: float = _PATIENCE_S) -> None:
        """Take the lock, and touch nothing. Raises StateProblem where a program runs on this folder.

        It is tried for ``patience_s`` seconds: who cleans up temporary folders takes such locks for a moment.
        """
        self.after_crash = False
        self._folder = folder
        self._path = folder / PID_FILE
        self._switches = folder / SWITCHES_FILE
        self._fd = -1
        try:
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StateProblem(f"{folder}: {error.strerror}") from error
        try:
            self._take(self._lock, patience_s)
        except StateProblem:
            os.close(self._lock)
            raise

    def _take(self, fd: int, patience_s: float) -> None:
        end = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise StateProblem(
                        f"{self._folder}: Mailward runs here already, as process {self._pid() or '?'}; "
                        "stop that one first (mailward ctl stop), or set another spool.path"
                    ) from None
            except OSError:
                return  # a file system whose folders have no locks: the file has one
            time.sleep(_STEP_S)

    def _pid(self) -> str:
        """The process id that the file names; empty where it names none."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            text = os.read(fd, _MOST_DIGITS).strip()
        except OSError:
            return ""
        finally:
            os.close(fd)
        return text.decode() if text.isdigit() else ""

    def begin(self) -> None:
        """Note that the program runs, and see how the one before ended. Raises StateProblem.

        To be called as the user of the program, to whom the files will belong.
        """
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _MODE)
            self._take(self._fd, 0.0)
            self.after_crash = bool(os.pread(self._fd, _MOST_DIGITS, 0).strip())
        except OSError as error:
            raise StateProblem(f"{self._path}: {error.strerror}") from error
        self._write(f"{os.getpid()}\n".encode())

    def end(self) -> None:
        """Note that it ended in good order. Raises StateProblem."""
        self._write(b"")

    @property
    def is_in_place(self) -> bool:
        """Whether the folder is still where it was, and the same."""
        try:
            return os.path.samestat(os.stat(self._folder), os.fstat(self._lock))
        except OSError:
            return False

    def close(self) -> None:
        """Let the lock go."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

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
