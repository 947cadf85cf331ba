"""The settings of one command-line scanner."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from mailward import ByteSize, Seconds, between, setting
from mailward_antivirus.report import ScanStatus

FILE = "{file}"
VIRUS = "{virus}"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_TAKEN = ("signatures", "yara", "clamd", "icap", "selection", "definitions", "heuristics")


def _name(instance: object, attribute: Any, name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(f"name {name!r} cannot be used; allowed: small letters, digits, '-' and '_', no engine's name")


def _command(instance: object, attribute: Any, words: Sequence[str]) -> None:
    if not words or not words[0].startswith("/"):
        raise ValueError("command is the path of a program, from /, and its arguments, each by itself")
    if not any(FILE in word for word in words[1:]):
        raise ValueError(f"command has no argument with {FILE}, which stands for the file to scan")


def _codes(instance: object, attribute: Any, table: dict[str, ScanStatus]) -> None:
    for code in table:
        if not code.isdecimal() or int(code) > 255:
            raise ValueError(f"exit code {code!r} is none; allowed: 0 to 255")
    for status in (ScanStatus.FILTERED, ScanStatus.DISINFECTED):
        if status in table.values():
            raise ValueError(
                f"{status} cannot be told by an exit code; allowed: clear, infected, suspicious, protected, error"
            )
    if ScanStatus.CLEAR not in table.values() or ScanStatus.INFECTED not in table.values():
        raise ValueError("exit_codes has to say what means clear and what means infected")


@frozen
class CommandSettings:
    """One command-line scanner: ``name`` in findings, the ``command`` with ``{file}``, what its exit codes mean."""

    name: str = setting(validator=_name, help="the scanner's name in findings and log")
    command: tuple[str, ...] = setting(
        validator=_command, help="program and arguments; {file} stands for the file to scan; there is no shell"
    )
    exit_codes: dict[str, ScanStatus] = setting(
        validator=_codes, help="what each exit code means; one that is not named is an error"
    )
    virus: str = setting("", help='the line that names the virus, as in "{file}: {virus} FOUND"; * for any text')
    version: tuple[str, ...] = setting((), help="program and arguments that print the version of the definitions")
    timeout_s: Seconds = setting(Seconds(60.0), validator=between(0.1, 3600), help="time for one part")
    max_bytes: ByteSize = setting(
        ByteSize(100 * 1024 * 1024), validator=between(1024, 4 * 1024**3), help="larger parts count as unchecked"
    )
    at_once: int = setting(2, validator=between(1, 64), help="parts of a message that are scanned at a time")

    def __attrs_post_init__(self) -> None:
        if self.virus and (self.virus.count(VIRUS) != 1 or self.virus.count(FILE) > 1):
            raise ValueError(f"virus of {self.name}: has to hold {VIRUS} once, and {FILE} at most once")
