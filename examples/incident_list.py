"""An engine of the house: what the incident team has seen is a virus, before any maker of scanners knows it.

The team keeps one line for each finding, the SHA-256 of a file and a name for it. Enable it with
plugins = ["relay", "archives", "content", "antivirus", "./incident_list.py"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from mailward import Action, Drop, Finding, Kind, Part, Plugin, Scan, hookimpl, setting


@frozen
class Settings:
    """``[incident_list]``."""

    path: Path = setting(Path("incidents.txt"), help="lines of a SHA-256 and a name")
    action: Action = setting(Drop(), help="what happens to the message")


class IncidentList(Plugin):
    """Finds the files that the incident team has listed."""

    Settings = Settings

    def setup(self) -> None:
        """Read the list; a message about a bad one goes to whoever starts the gateway."""
        lines = self.context.resolve_path(self.settings.path).read_text().splitlines()
        self.known = dict(line.lower().split(maxsplit=1) for line in lines if line.strip())

    @hookimpl
    def reload(self) -> None:
        """Read the list again; where that fails, the old one stays."""
        self.setup()

    @hookimpl
    def scan_part(self, part: Part, scan: Scan) -> Iterator[Finding]:
        """One finding for a part whose content is in the list."""
        name = self.known.get(part.digest("sha256"))
        if name is not None:
            yield self.finding("list", part, kind=Kind.INFECTED, name=name, action=self.settings.action)
