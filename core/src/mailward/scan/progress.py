"""A few bytes of shared memory in which a scan process says what it is doing.

The process that dies or hangs cannot tell; the gateway reads here which plugin, hook and part it
was in, so that the failure is attributed.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from mailward.values.decision import Call

_SIZE = 512
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Progress:
    """Shared memory of one scan process; made by the gateway, handed down as descriptor ``fd``."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("mailward-progress", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, _SIZE)
        # a process that was taken over must not pull the memory from under whoever reads it
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
        self._memory = mmap.mmap(self.fd, _SIZE)

    def attach(self, fd: int) -> None:
        """Write to (and read from) the memory behind another descriptor from now on."""
        self.close()
        self.fd = fd
        self._memory = mmap.mmap(fd, _SIZE)

    def note(self, plugin: str, hook: str, part: str) -> None:
        """Say what is being done now."""
        text = f"{plugin}\0{hook}\0{part}".encode("utf-8", "replace")[: _SIZE - 2]
        self._memory[: len(text) + 2] = len(text).to_bytes(2, "big") + text

    def clear(self) -> None:
        """Say that nothing is being done."""
        self._memory[:2] = b"\0\0"

    def read(self) -> Call | None:
        """What is being done, as a call that died; None where nothing is."""
        length = int.from_bytes(self._memory[:2], "big")
        if not 0 < length <= _SIZE - 2:
            return None
        words = self._memory[2 : 2 + length].decode("utf-8", "replace").split("\0")
        plugin, hook, part = (*words, "", "", "")[:3]
        return Call(plugin, hook, 0.0, part, "died", "the scan process ended in this call")

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.fd)
