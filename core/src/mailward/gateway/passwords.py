"""The password file: one user a line, ``user:$argon2id$…``, written by ``mailward password``."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailward.values.errors import MailwardError

_USER = re.compile(r"(?!#)[^\x00-\x20:\x7f-\xa0\u2028\u2029]{1,255}")
_HASHER = PasswordHasher()


class PasswordError(MailwardError):
    """A password file cannot be read or written, or a name is none that it can hold."""


def hashed(password: str) -> str:
    """The argon2id hash of a password."""
    return _HASHER.hash(password)


def check_user(user: str) -> None:
    """Raise PasswordError where a name is none that the file can hold."""
    if not _USER.fullmatch(user):
        raise PasswordError(f"{user!r} is no name of a user: 1 to 255 characters, no spaces, no colon, no # at first")


def _users(file: Path, text: str) -> dict[str, str]:
    users: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, secret = line.partition(":")
        if not _USER.fullmatch(user) or not secret.startswith("$argon2"):
            raise PasswordError(f"{file}:{number}: is not user:$argon2id$…; write it with mailward password")
        users[user] = secret.strip()
    return users


class PasswordFile:
    """Users and their hashes, read again when the file changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: tuple[int, int, int] | None = None
        self._users: dict[str, str] = {}
        self._nobody = hashed(os.urandom(16).hex())

    def check(self) -> None:
        """Read the file if it has changed. Raises PasswordError where it cannot be read."""
        try:
            info = os.stat(self._file)
            state = (info.st_mtime_ns, info.st_size, info.st_ino)
            if state != self._state:
                self._users = _users(self._file, self._file.read_text(encoding="utf-8"))
                self._state = state
        except (OSError, UnicodeDecodeError) as error:
            raise PasswordError(f"{self._file}: cannot be read: {error}") from error

    def verify(self, user: str, password: str) -> bool:
        """Whether this is the user's password; takes about as long where there is no such user.

        Slow on purpose: not for the event loop. Raises PasswordError.
        """
        self.check()
        known = self._users.get(user)
        try:
            return _HASHER.verify(known or self._nobody, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False


def set_password(file: Path, user: str, secret: str | None) -> bool:
    """Write a user's hash into a password file, or take the user out where it is None; whether he was there.

    The file is replaced as a whole, with mode 0600 where it is new; all other lines stay as they are.
    Raises PasswordError.
    """
    check_user(user)
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        was_there = user in _users(file, text)
        lines = text.removesuffix("\n").split("\n") if text else []
        own = [number for number, line in enumerate(lines) if line.startswith(f"{user}:")]
        at = own[0] if own else len(lines)
        new = [] if secret is None else [f"{user}:{secret}"]
        kept = [line for number, line in enumerate(lines) if number not in own]
        _replace(file, "".join(f"{line}\n" for line in [*kept[:at], *new, *kept[at:]]))
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordError(f"{file}: {error}") from error
    return was_there


def _replace(file: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as new:
            if file.exists():
                info = file.stat()
                os.fchmod(fd, info.st_mode & 0o777)
                with contextlib.suppress(PermissionError):
                    os.fchown(fd, info.st_uid, info.st_gid)
            new.write(text)
            new.flush()
            os.fsync(fd)
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
