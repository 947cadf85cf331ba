"""The limits that the scan processes put on themselves before they open anything.

`confine` is called once, in the template process, and all that it does is inherited by the scan
processes; `end_with_parent` and `allow_cpu` are each process's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pwd
import resource
import signal
import struct
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def confine(memory_bytes: int, max_file_bytes: int, user: str, *, network: bool) -> tuple[str, ...]:
    """Give up everything that scanning does not need; what could not be given up, in words.

    Caps address space and file size, forbids core dumps and new privileges, leaves the network
    (unless ``network``), becomes ``user`` where this process is root's, drops all capabilities.
    Limits that the system already keeps lower stay as they are. Raises ValueError where there is no
    such user, PermissionError where it cannot become this user.
    """
    lacking = []
    for kind, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, max_file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (limit, limit))
    if not network and (problem := _leave_network()):
        lacking.append(f"network: {problem}")
    if user:
        _become(user)
    if problem := _drop_capabilities():
        lacking.append(f"capabilities: {problem}")
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)
    return tuple(lacking)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends; now where ``parent`` is gone already."""
    _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


class CpuLimit:
    """Processor time of a scan process: enough for one message more, never for ever (RLIMIT_CPU).

    The last line of defence, for a process that loops while its gateway cannot end it.
    """

    def __init__(self, per_message_s: float) -> None:
        self._step_s = int(2 * per_message_s) + 2
        self._limit_s = 0

    def renew(self) -> None:
        """Call before each message: from now on it may use its time, and not twice as much."""
        used_s = int(time.process_time())
        if self._limit_s - used_s < self._step_s // 2:
            self._limit_s = used_s + self._step_s
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            soft = self._limit_s if hard == resource.RLIM_INFINITY else min(self._limit_s, hard)
            resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def resident_bytes() -> int:
    """The memory that this process holds now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _leave_network() -> str:
    """Move to a network of this process's own, with nothing in it; why not, where that is refused."""
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return ""
    # those who are not root may in a user namespace of their own, where they stay who they are
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        return f"cannot be left: {os.strerror(number)} ({errno.errorcode.get(number, number)})"
    # where it may not say so (root without capabilities), it looks like nobody to itself; its rights are the same
    with contextlib.suppress(OSError):
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return ""


def _become(user: str) -> None:
    try:
        account = pwd.getpwnam(user)
    except KeyError as error:
        raise ValueError(f"there is no account {user!r}") from error
    if os.geteuid() == account.pw_uid:
        return
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _drop_capabilities() -> str:
    """Give up every capability, for good; why not, where that is refused."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if _libc.capset(header, bytes(24)) != 0:
        return f"cannot be dropped: {os.strerror(ctypes.get_errno())}"
    return ""
