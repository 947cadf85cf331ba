"""What a process gives up: root, new privileges, outliving its parent. Imports little."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import resource
import signal
from pathlib import Path

from attrs import frozen

from mailward.values.errors import ConfigError, Problem

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_TO_NOBODY_ELSE = 0o077
_DESCRIPTORS = 65_536


@frozen
class Account:
    """Whom the program runs as; ``name`` is empty where only the group was named."""

    uid: int
    gid: int
    name: str = ""


def account(user: str, group: str, source: str) -> Account | None:
    """The account that the settings name; None where they name none. Raises ConfigError.

    Names and numbers are both understood. Only root can become somebody else; for others the
    settings must name whom they are already.
    """
    if not user and not group:
        return None
    uid, gid, name = os.geteuid(), os.getegid(), ""
    if user:
        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        except KeyError:
            raise _problem(source, "user", "is no user of this machine", user) from None
        uid, gid, name = entry.pw_uid, entry.pw_gid, entry.pw_name
    if group:
        try:
            gid = (grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)).gr_gid
        except KeyError:
            raise _problem(source, "group", "is no group of this machine", group) from None
    if os.geteuid() != 0 and uid != os.geteuid():
        raise _problem(source, "user", "can only be changed by root; start it as root or as this user", user)
    if os.geteuid() != 0 and gid not in {os.getegid(), *os.getgroups()}:
        raise _problem(source, "group", "can only be changed by root; start it as root or in this group", group)
    return Account(uid, gid, name)


def _problem(source: str, key: str, message: str, value: str) -> ConfigError:
    return ConfigError(source, [Problem(f"process.{key}", message, repr(value))])


def own(folder: Path, account: Account | None, source: str) -> None:
    """Make a private folder (0700) that belongs to the account, or see that it does. Raises ConfigError."""
    key = "spool.path"
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            if account is not None and os.geteuid() == 0:
                os.chown(folder, account.uid, account.gid)
        owner = folder.stat().st_uid
    except OSError as error:
        raise ConfigError(source, [Problem(key, f"cannot be made: {error.strerror}", repr(str(folder)))]) from error
    uid = os.geteuid() if account is None else account.uid
    if owner != uid and uid != 0:
        advice = f"chown -R {account.name if account else uid} {folder}"
        raise ConfigError(source, [Problem(key, f"belongs to user {owner}, not to {uid}", repr(str(folder)), advice)])


def become(account: Account | None) -> None:
    """Give root up for good, and whatever could bring it back; files made from here on are private."""
    if account is not None and os.geteuid() == 0:
        if account.name:
            os.initgroups(account.name, account.gid)
        else:
            os.setgroups([])
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.umask(_OPEN_TO_NOBODY_ELSE)


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that comes; call it after `become`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def raise_descriptors() -> int:
    """Use as many descriptors as the system allows, up to 65,536; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else _DESCRIPTORS
    wanted = max(soft, min(wanted, _DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
