"""Where log lines go: standard error, which may be full, closed, or read by nobody. None of that stops mail.

A line that is not taken is lost, and counted; the next that is taken is preceded by how many were.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from time import monotonic

LOST = "log lines lost"
"""The event of the line that says how many were."""

_PATIENCE_S = 0.25
_STANDARD = (0, 1, 2)


def hold_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed, on nothing: a socket that got such a number would be logged to.

    To be called before anything else is opened.
    """
    for fd in _STANDARD:
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
            os.set_inheritable(fd, True)
    sys.stdout = sys.stdout or _text(1)
    sys.stderr = sys.stderr or _text(2)


def _text(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), encoding="utf-8", line_buffering=True)


class Outlet:
    """Writes whole lines to a descriptor, without ever waiting for its reader for long, or raising.

    ``tell`` makes a line of the number of lines that were lost.
    """

    def __init__(self, fd: int, tell: Callable[[int], str]) -> None:
        self.lost = 0
        self._tell = tell
        self._rest = b""
        self._is_stuck = False
        self._given = self._fd = fd
        self._send = self._way()

    def close(self) -> None:
        """Give back what was opened; what was given stays open."""
        if self._fd != self._given:
            os.close(self._fd)
            self._fd, self._send = self._given, self._to_pipe

    def write(self, line: str) -> None:
        """Write a line (without its end)."""
        self.write_bytes(line.encode("utf-8", "backslashreplace") + b"\n")

    def write_bytes(self, lines: bytes) -> None:
        """Write lines as they are."""
        if self.lost and self._put(self._tell(self.lost).encode() + b"\n"):
            self.lost = 0
        if self.lost or not self._put(lines):
            self.lost += lines.count(b"\n")

    def _put(self, data: bytes) -> bool:
        """Whether the lines were taken; one that was taken in part is finished before any other begins."""
        if self._rest:
            self._rest = self._rest[self._pass_on(self._rest) :]
            if self._rest:
                return False
        done = self._pass_on(data)
        self._rest = data[done:] if done else b""
        return done > 0

    def _pass_on(self, data: bytes) -> int:
        """Write what is taken now, or within moments; how many bytes that are."""
        done, until = 0, monotonic() + _PATIENCE_S
        while done < len(data):
            try:
                done += self._send(data[done:])
                self._is_stuck = False
            except BlockingIOError:
                # who has been waited for in vain is waited for again once he has taken something
                if self._is_stuck or monotonic() >= until:
                    self._is_stuck = True
                    break
                _writable(self._fd, until - monotonic())
            except OSError:
                break  # nobody reads any more, or the disk is full
        return done

    def _way(self) -> Callable[[bytes], int]:
        """How to write to the descriptor without waiting."""
        try:
            mode = os.fstat(self._fd).st_mode
        except OSError:
            return self._to_file  # it is closed: each write will say so
        if stat.S_ISSOCK(mode):
            return self._to_socket
        if not stat.S_ISFIFO(mode):
            return self._to_file
        try:
            # Opened anew, so that not to wait is our way alone, and not that of all who share the pipe.
            self._fd = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return self._to_pipe
        return self._to_file

    def _to_file(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def _to_socket(self, data: bytes) -> int:
        with socket.socket(fileno=os.dup(self._fd)) as out:
            return out.send(data, socket.MSG_DONTWAIT)

    def _to_pipe(self, data: bytes) -> int:
        """As much as a pipe that is not full takes for certain, if nobody else is quicker."""
        if not _writable(self._fd, 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self._fd, data[: select.PIPE_BUF])


class _Replaced(Outlet):
    """Writes to a stream that somebody has put in the place of standard error."""

    def write_bytes(self, lines: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(lines.decode("utf-8", "replace"))
            sys.stderr.flush()


def standard_error(tell: Callable[[int], str]) -> Outlet:
    """The outlet to standard error, or to what stands for it in this process."""
    is_own = sys.__stderr__ is None or sys.stderr is sys.__stderr__
    return Outlet(_STANDARD[2], tell) if is_own else _Replaced(_STANDARD[2], tell)


def _writable(fd: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(max(0.0, wait_s) * 1000))
