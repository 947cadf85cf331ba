"""Command-line scanners: one process for each content, a table of exit codes, no shell.

The content is a file of a random name in a folder that only this user may enter; no name from the mail
gets near the command. Where the scanner takes too long, all of it is ended (see `process`).
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from attrs import define, field

from mailward import Context, Part
from mailward_antivirus.command_settings import FILE, VIRUS, CommandSettings
from mailward_antivirus.command_version import CommandVersion
from mailward_antivirus.engine import Engine, Surroundings
from mailward_antivirus.names import named
from mailward_antivirus.process import Ended, run
from mailward_antivirus.report import Fault, Report, ScanStatus, unchecked
from mailward_antivirus.work_folder import WorkFolders

_STEP_BYTES = 1024 * 1024
_FOLDER = "work"
_WILD = re.compile(r"(\{virus\}|\*)")


@define(eq=False)
class Command:
    """One command-line scanner."""

    settings: CommandSettings
    context: Context
    _definitions: CommandVersion = field(init=False)
    _folders: WorkFolders | None = field(default=None, init=False)

    @_definitions.default
    def _asked(self) -> CommandVersion:
        return CommandVersion(self.settings.version, self.settings.timeout_s, repr(self.settings))

    @property
    def name(self) -> str:
        """See `Engine`."""
        return self.settings.name

    @property
    def at_once(self) -> int:
        """See `Engine`; never 1, for it does more than compute."""
        return max(2, self.settings.at_once)

    async def version(self) -> str:
        """See `Engine`: what the version command printed lately; empty without one, and where it has not answered."""
        return await self._definitions.version()

    async def scan(self, part: Part) -> Report:
        """Judge the content of ``part`` (see `Engine`)."""
        if part.size > self.settings.max_bytes:
            allowed = self.settings.max_bytes
            return unchecked(Fault.LIMIT, f"too large for the scanner: {part.size} bytes, allowed: {allowed}")
        try:
            if self._folders is None:
                self._folders = WorkFolders(self.context.store() / _FOLDER)
            with self._folders.one() as folder:
                return await self._scanned(part, folder)
        except TimeoutError:
            return unchecked(Fault.CONTENT, f"no answer within {self.settings.timeout_s:g} s")
        except OSError as error:
            return unchecked(Fault.SCANNER, f"{self.name} cannot be run: {error.strerror or error}")

    def close(self) -> None:
        """Nothing is kept open but a version command that has not answered: it is ended."""
        self._definitions.close()

    async def _scanned(self, part: Part, folder: Path) -> Report:
        path = folder / secrets.token_hex(8)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in part.stream(_STEP_BYTES):
                file.write(piece)
        command = [word.replace(FILE, str(path)) for word in self.settings.command]
        return self._report(await run(command, folder, self.settings.timeout_s), path)

    def _report(self, ended: Ended, path: Path) -> Report:
        status = self.settings.exit_codes.get(str(ended.code))
        if status is None:
            how = f"exit code {ended.code}" if ended.code >= 0 else f"ended by signal {-ended.code}"
            return unchecked(Fault.CONTENT, f"{self.name}: {how}, which exit_codes does not name")
        if status is ScanStatus.ERROR:
            return unchecked(Fault.CONTENT, f"{self.name}: exit code {ended.code}")
        if status is ScanStatus.CLEAR:
            return Report()
        name = self._virus(ended.output, path)
        if status is ScanStatus.INFECTED and name:
            return named(name)
        return Report(status, name, f"exit code {ended.code}")

    def _virus(self, output: bytes, path: Path) -> str:
        """The name in the first line that has the form of ``virus``; empty where there is none."""
        if not self.settings.virus:
            return ""
        form = self.settings.virus.strip().replace(FILE, str(path))
        for text in output.decode("utf-8", "replace").splitlines():
            if name := virus_in(form, text.strip()):
                return "".join(char for char in name if " " <= char <= "~")[:200].strip()
        return ""


def virus_in(form: str, line: str) -> str:
    """What ``{virus}`` stands for in ``line``, empty where the line is not of this form.

    Every ``*``, and the name itself, ends at the first place where what follows it in the form is found: one
    search for each, whatever the line.
    """
    pieces = _WILD.split(form)
    if not line.startswith(pieces[0]):
        return ""
    found, position = "", len(pieces[0])
    for number in range(1, len(pieces), 2):
        wild, text = pieces[number], pieces[number + 1]
        last = number + 2 == len(pieces)
        end = len(line) - len(text) if last else line.find(text, position)
        if end < position or (last and not line.endswith(text)):
            return ""
        if wild == VIRUS:
            found = line[position:end]
        position = end + len(text)
    return found


def make(surroundings: Surroundings) -> tuple[Engine, ...]:
    """The engines that ``antivirus.commands`` asks for. ValueError: two have one name."""
    wanted = surroundings.settings.commands
    names = [settings.name for settings in wanted]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"commands: {name!r} is the name of two scanners")
    return tuple(Command(settings, surroundings.context) for settings in wanted)
