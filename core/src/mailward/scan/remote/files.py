"""Messages of a scan server as files: named by a gateway on the same host, or streamed to this one."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

from mailward.scan.codes import ACCESS, ANSWER, FILE
from mailward.values.errors import ScanError

_PIECE_BYTES = 256 * 1024


def open_within(folder: Path | None, name: str, size_bytes: int) -> int:
    """Open a file that a gateway named, in or below ``folder``, for reading (IMA-SRV-04).

    Judged is where the opened file really lies, after all links and ``..``, so that nobody can swap
    it in between. Raises ScanError (``access``).
    """
    if folder is None:
        raise ScanError(ACCESS, "this server scans no files by name (scan_server.local_dir)")
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ScanError(ACCESS, f"the file cannot be opened: {getattr(error, 'strerror', error)}") from error
    try:
        found = os.fstat(fd)
        if not Path(os.readlink(f"/proc/self/fd/{fd}")).is_relative_to(folder.resolve()):
            raise ScanError(ACCESS, "the file lies outside scan_server.local_dir")
        if not stat.S_ISREG(found.st_mode) or found.st_size < size_bytes:
            raise ScanError(ACCESS, "it is no file, or shorter than the message")
    except BaseException:
        os.close(fd)
        raise
    return fd


async def receive(reader: asyncio.StreamReader, size_bytes: int, folder: Path | None) -> int:
    """Take a body from the stream into a file without a name; its descriptor (IMA-SRV-05).

    All of the body is read in any case, so that the connection can go on. Raises ScanError
    (``file``: it could not be kept; ``answer``: the connection ended).
    """
    fd = -1
    failure: OSError | None = None
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            fd = os.dup(file.fileno())
    except OSError as error:
        failure = error
    try:
        left = size_bytes
        while left:
            piece = await reader.read(min(left, _PIECE_BYTES))
            if not piece:
                raise ScanError(ANSWER, "the connection ended")
            left -= len(piece)
            if failure is None:
                try:
                    _write(fd, piece)
                except OSError as error:
                    failure = error
        if failure is not None:
            raise ScanError(FILE, f"no place for the message: {failure.strerror}") from failure
    except BaseException as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, OSError):
            raise ScanError(ANSWER, "the connection ended") from error
        raise
    return fd


def _write(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
