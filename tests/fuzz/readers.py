"""The readers of the archives plugin as targets: one each, and one for all."""

from __future__ import annotations

from functools import partial

from mailward import Part
from targets import Opened, Target, member_target

CHILD_PROCESSES = ("arj", "chm", "image")
"""Formats read by another program: slow to fuzz, and what fails there fails outside."""


def readers() -> dict[str, Target]:
    """A target for each reader that can read here; empty where the plugin is not installed."""
    try:
        from mailward_archives.settings import ArchivesSettings
        from mailward_archives.table import BY_TYPE, FORMATS
        from mailward_archives.text import read_text
    except ImportError:
        return {}
    settings = ArchivesSettings()

    def by_type(part: Part) -> Opened:
        """As the plugin does it, without the other programs."""
        found = BY_TYPE.get(part.detected_type)
        if found is None:
            return read_text(part, settings)
        return None if found.name in CHILD_PROCESSES or found.missing() else found.reader(part, settings)

    def only(reader: object, part: Part) -> Opened:
        return reader(part, settings) if part.depth == 0 else None

    found = {
        one.name: member_target(partial(only, one.reader))
        for one in FORMATS
        if one.name not in CHILD_PROCESSES and not one.missing()
    }
    found["text"] = member_target(lambda part: read_text(part, settings))
    return {"archives": member_target(by_type)} | {f"archives.{name}": target for name, target in found.items()}
