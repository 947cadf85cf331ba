"""Checks: what `mailward check` found out about one thing that mail depends on."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@frozen
class Check:
    """One thing that was looked at.

    ``name`` says what, ``detail`` what was seen, ``advice`` what to do where it is not ``ok``.
    ``warning`` marks what is not as it should be but keeps no mail from flowing. ``plugin`` is the
    name in the configuration (``core`` for the core's own), filled in by the core.
    """

    name: str
    ok: bool = True
    detail: str = ""
    advice: str = ""
    warning: bool = False
    plugin: str = ""

    @property
    def health(self) -> Health:
        """Ok, warning or failure."""
        if self.ok:
            return Health.OK
        return Health.WARNING if self.warning else Health.FAILURE
