"""What a command of a plugin works on."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from mailward.hooks.context import Context


@frozen
class Desk:
    """The settings and the context of a plugin, for its commands (`Plugin.commands`).

    ``settings`` are those of the default policy, read and checked. The plugin itself is not built, so a command
    works also where what the settings point at is broken: often that is what it is there to mend.
    """

    settings: Any
    context: Context
