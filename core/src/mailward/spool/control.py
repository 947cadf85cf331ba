"""Requests from other processes, through small files in the slot's ``control`` folder.

``<token>.ask`` holds a request. The process that holds the slot's lock carries it out, writes
``<token>.answer``, then deletes the request (KAV-MGT-03); a crash in between carries it out again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from pathlib import Path

from attrs import frozen
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter

from mailward.hooks.log import get_logger
from mailward.spool.ids import is_id
from mailward.spool.operate import Outcome, Request
from mailward.values.errors import SpoolError

_log = get_logger("mailward.spool")
_ASK = ".ask"
_ANSWER = ".answer"
_WRITING = ".new"
_FORGOTTEN_S = 600.0
_MAX_BYTES = 1024 * 1024
# The folder keeps others out (0700); the file itself must be readable where root asks the gateway's user.
_MODE = 0o644
_CONVERTER = make_converter(detailed_validation=False)
_NO_REQUEST = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT)
"""Errors of one file, which must not keep the others waiting; all other errors may be over at the next look."""
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, BaseValidationError)


@frozen
class Asked:
    """A request that was found, and the token to answer it by."""

    token: str
    request: Request


def _write(folder: Path, name: str, text: str) -> None:
    new = folder / (name + _WRITING)
    new.unlink(missing_ok=True)  # of a crash, or of a full disk: the name is nobody else's
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    with open(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, _MODE)  # whatever the umask of root's shell
        file.write(text)
    new.rename(folder / name)


def _read(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, encoding="utf-8") as file:
        return file.read(_MAX_BYTES)


def ask(folder: Path, request: Request) -> str:
    """Leave a request in a control folder; the token under which the answer will come. Raises SpoolError."""
    token = secrets.token_hex(8)
    try:
        _write(folder, token + _ASK, json.dumps(_CONVERTER.unstructure(request)))
    except OSError as error:
        raise SpoolError(f"{folder}: {error.strerror}") from error
    return token


def answer_to(folder: Path, token: str, wait_s: float) -> tuple[Outcome, ...] | None:
    """Wait up to ``wait_s`` seconds for the answer, and take it away; None where it did not come.

    Raises SpoolError where it cannot be read.
    """
    until = time.monotonic() + wait_s
    path = folder / (token + _ANSWER)
    while True:
        try:
            outcomes: tuple[Outcome, ...] = _CONVERTER.structure(json.loads(_read(path)), tuple[Outcome, ...])
            path.unlink()
            return outcomes
        except FileNotFoundError:
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)
        except OSError as error:
            raise SpoolError(f"{path}: {error.strerror}") from error
        except _UNREADABLE as error:
            raise SpoolError(f"{path}: not an answer") from error


class Inbox:
    """The gateway's side of a control folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def asked(self) -> list[Asked]:
        """The requests that wait, oldest first. Raises SpoolError.

        A request that cannot be read is deleted, files that are none are left alone.
        """
        found: list[tuple[float, str]] = []
        try:
            with os.scandir(self._folder) as items:
                for item in items:
                    if not item.is_file(follow_symlinks=False):
                        continue
                    changed_at = item.stat(follow_symlinks=False).st_mtime
                    if item.name.endswith(_ASK) and is_id(item.name.removesuffix(_ASK)):
                        found.append((changed_at, item.name.removesuffix(_ASK)))
                    elif item.name.endswith((_ANSWER, _WRITING)) and time.time() - changed_at > _FORGOTTEN_S:
                        # An answer nobody fetched, or what a crash left half written.
                        os.unlink(item.path)
        except FileNotFoundError:
            # A file went away under our eyes; the next look finds the rest.
            return []
        except OSError as error:
            raise SpoolError(f"{self._folder}: {error.strerror}") from error
        return [one for _, token in sorted(found) if (one := self._request(token)) is not None]

    def _request(self, token: str) -> Asked | None:
        path = self._folder / (token + _ASK)
        try:
            return Asked(token, _CONVERTER.structure(json.loads(_read(path)), Request))
        except OSError as error:
            if error.errno not in _NO_REQUEST:
                raise SpoolError(f"{path}: {error.strerror}") from error
            _log.error("request of an operator cannot be read, deleted", path=str(path), problem=error.strerror)
        except _UNREADABLE:
            pass
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def answer(self, asked: Asked, outcomes: tuple[Outcome, ...]) -> None:
        """Answer a request and delete it. Raises SpoolError."""
        try:
            _write(
                self._folder, asked.token + _ANSWER, json.dumps(_CONVERTER.unstructure(outcomes, tuple[Outcome, ...]))
            )
            (self._folder / (asked.token + _ASK)).unlink(missing_ok=True)
        except OSError as error:
            raise SpoolError(f"{self._folder}: {error.strerror}") from error
