"""The folders of one slot, and the few disk operations that the queue is made of."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from mailward.spool.entry import Queue
from mailward.spool.ids import check_id, is_id
from mailward.values.errors import SpoolError

TMP = "tmp"
JOURNAL = "journal"
DAMAGED = "damaged"
CONTROL = "control"
LOCK = "lock"
_NAMES = (TMP, JOURNAL, *(queue.value for queue in Queue), DAMAGED, CONTROL)
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


class Vanished(SpoolError):
    """The message is not in its queue any more."""


@frozen
class Disk:
    """How data is made durable; tests put counting functions in their place."""

    fsync: Callable[[int], None] = os.fsync
    fdatasync: Callable[[int], None] = os.fdatasync


def slots_folder(root: Path) -> Path:
    """The folder that holds all slots of the spool under ``root``."""
    return root / "spool"


def slot_names(root: Path) -> list[str]:
    """The slots under ``root``, sorted; empty where there is no spool yet."""
    try:
        with os.scandir(slots_folder(root)) as found:
            return sorted(item.name for item in found if is_id(item.name) and item.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpoolError(f"{slots_folder(root)}: {error.strerror}") from error


def write_all(fd: int, *pieces: bytes | bytearray | memoryview) -> None:
    """Write all pieces at the file position; raises OSError, with some of it written then."""
    total = sum(map(len, pieces))
    written = os.writev(fd, pieces)
    while written < total:
        # After a short write the system is asked for the rest, and then says what is wrong.
        written += os.write(fd, memoryview(b"".join(pieces))[written:])


class Folders:
    """The folders of one slot, held open; every file is named relative to one of them.

    The methods that work on files raise OSError; their callers know what it means there.
    """

    def __init__(self, root: Path, slot: str, disk: Disk) -> None:
        self.path = slots_folder(root) / check_id(slot)
        self.disk = disk
        self._fds: dict[str, int] = {}
        self._lock = -1
        self._owner: os.stat_result | None = None

    def open(self, wait_s: float) -> None:
        """Make the folders (mode 0700) and take the slot's lock, waiting for it up to ``wait_s`` seconds.

        Raises SpoolError where another process keeps the lock or a folder cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self.path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, _FILE_MODE)
            self._take_lock(wait_s)
            for name in _NAMES:
                (self.path / name).mkdir(mode=_FOLDER_MODE, exist_ok=True)
                self._fds[name] = os.open(self.path / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            self._owner = os.stat(self.path)
            for folder in (self.path, self.path.parent, self.path.parent.parent):
                self._sync_path(folder)
        except OSError as error:
            self.close()
            raise SpoolError(f"{self.path}: {error.strerror}") from error
        except SpoolError:
            self.close()
            raise

    def _take_lock(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise SpoolError(f"{self.path}: another process works on this slot") from None
                time.sleep(0.05)

    def _sync_path(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.disk.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of folders and lock; nothing may be done with them afterwards."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def folder(self, name: str) -> int:
        """The descriptor of a folder; raises SpoolError where the spool is not open."""
        try:
            return self._fds[name]
        except KeyError:
            raise SpoolError(f"{self.path}: the spool is not open") from None

    def create(self, message_id: str, name: str = TMP) -> int:
        """A new file of this id in a folder (mode 0600), open for reading and writing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(check_id(message_id), flags, _FILE_MODE, dir_fd=self.folder(name))
        if os.geteuid() == 0 and self._owner is not None and self._owner.st_uid != 0:
            # An operator working as root leaves files that the gateway's user can read.
            os.fchown(fd, self._owner.st_uid, self._owner.st_gid)
        return fd

    def open_file(self, name: str, message_id: str, flags: int = os.O_RDONLY) -> int:
        """The file of a message, opened."""
        return os.open(check_id(message_id), flags | os.O_NOFOLLOW, dir_fd=self.folder(name))

    def rename(self, message_id: str, source: str, new_id: str, target: str) -> None:
        """Move a file between two folders, or give it another id."""
        os.rename(
            check_id(message_id), check_id(new_id), src_dir_fd=self.folder(source), dst_dir_fd=self.folder(target)
        )

    def unlink(self, name: str, message_id: str) -> None:
        """Remove a file."""
        os.unlink(check_id(message_id), dir_fd=self.folder(name))

    def discard(self, name: str, message_id: str) -> None:
        """Remove a file if it can be; for clearing up after a failure that is reported already."""
        with contextlib.suppress(OSError):
            self.unlink(name, message_id)

    def sync(self, name: str) -> None:
        """Make the names in a folder durable."""
        self.disk.fsync(self.folder(name))

    def ids(self, name: str) -> Iterator[str]:
        """The ids of the files in a folder, in no order."""
        with os.scandir(self.folder(name)) as found:
            for item in found:
                if is_id(item.name):
                    yield item.name

    def purge(self) -> None:
        """Empty ``tmp``: what is in there never got a 250."""
        for name in os.listdir(self.folder(TMP)):
            info = os.stat(name, dir_fd=self.folder(TMP), follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                os.unlink(name, dir_fd=self.folder(TMP))
