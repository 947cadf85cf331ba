"""Control files: commands as empty files in a folder that is looked at (KAV-MGT-03)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mailward.supervisor.commands import Commands
from mailward.supervisor.control import Request
from mailward.supervisor.statistics import Stats, lines

if TYPE_CHECKING:
    from mailward.supervisor.supervisor import Supervisor

FILES = {
    ".c_stats": "stats",
    ".c_recv_on": "receive-on",
    ".c_recv_off": "receive-off",
    ".c_avir_on": "scan-on",
    ".c_avir_off": "scan-off",
    ".c_send_on": "send-on",
    ".c_send_off": "send-off",
    ".c_db_reload": "reload",
}
"""The verb of each file. What is in a file does not count; other files are left alone."""


class ControlFiles:
    """Carries out what files in the folder ask for, then deletes them."""

    def __init__(self, supervisor: Supervisor, commands: Commands) -> None:
        self._supervisor = supervisor
        self._commands = commands

    async def look(self) -> None:
        """Look once."""
        plan = self._supervisor.plan
        if not plan.control:
            return
        for name in FILES:
            path = Path(plan.control) / name
            if self._is_asked(path):
                await self._carry_out(path, FILES[name])

    def _is_asked(self, path: Path) -> bool:
        """Whether there is a file that somebody made who may: root, or the user of the program."""
        try:
            found = path.lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_uid in (0, os.geteuid())

    async def _carry_out(self, path: Path, verb: str) -> None:
        log = self._supervisor.log
        answer = await self._commands.carry_out(Request(verb), by="control file")
        text = answer.text
        try:
            if verb == "stats":
                target = Path(self._supervisor.plan.stats_file)
                new = target.with_name(target.name + ".new")
                new.write_text(lines(msgspec.json.decode(answer.facts, type=Stats)))
                new.rename(target)
                text = f"written to {target}"
            path.unlink()
        except OSError as error:
            log.error("control file", file=str(path), problem=str(error))
            return
        (log.info if answer.ok else log.error)("control file", file=path.name, text=text)
