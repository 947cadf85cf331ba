"""The settings of the antivirus plugin, and what they may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from attrs import frozen

from mailward import (
    Action,
    ByteSize,
    Defer,
    Delete,
    Drop,
    Hold,
    PartAction,
    Placeholder,
    Repair,
    Seconds,
    Template,
    between,
    setting,
)
from mailward_antivirus.clamd import ClamdAddress

REPLACEMENT = (
    '{{ filename or "A part of this message" }} was removed by {{ hostname }}: '
    "{{ reason }}{% if virus %} ({{ virus }}){% endif %}.\n"
)


def _chain(instance: object, attribute: Any, actions: Sequence[Action]) -> None:
    """SAV-AV-04: repairs first, then at most one action that always works."""
    if not actions:
        raise ValueError("is empty; allowed: repair, then one other action")
    for place, action in enumerate(actions[:-1]):
        if not isinstance(action, Repair):
            raise ValueError(
                f"{actions[place + 1]} is never reached, for {action} always applies; on_unremoved is "
                "for what could be neither repaired nor removed; allowed: repair, then one other action"
            )
    _texts(actions)


def _not_repair(instance: object, attribute: Any, action: Action) -> None:
    """Nothing can be repaired in what is only suspicious or was not checked."""
    if isinstance(action, Repair):
        raise ValueError("repair is for infected parts alone; allowed: every other action")
    _texts((action,))


def _whole(instance: object, attribute: Any, action: Action) -> None:
    """What is left over cannot be handled by taking it out once more."""
    if isinstance(action, PartAction):
        raise ValueError(f"{action} is an action on a part; allowed: an action on the message, as drop or hold")


def _texts(actions: Sequence[Action]) -> None:
    for action in actions:
        if isinstance(action, Placeholder):
            try:
                Template(action.text)
            except jinja2.TemplateSyntaxError as error:
                raise ValueError(f"text of placeholder, line {error.lineno}: {error.message}") from error


def _clamd(instance: object, attribute: Any, text: str) -> None:
    if text:
        ClamdAddress.parse(text)


@frozen
class AntivirusSettings:
    """``[antivirus]``: what is scanned by, and what happens to what is found."""

    on_infected: tuple[Action, ...] = setting(
        (Repair(), Delete()), validator=_chain, help="what happens to an infected part: repair, then one other action"
    )
    on_unremoved: Action = setting(
        Drop(), validator=_whole, help="what happens to a message whose infected part was neither repaired nor removed"
    )
    on_suspicious: Action = setting(
        Hold(), validator=_not_repair, help="what happens to what may be a virus without being a known one"
    )
    on_encrypted: Action = setting(
        Delete(), validator=_not_repair, help="what happens to a part that the scanner reports as encrypted"
    )
    on_unchecked: Action = setting(
        Hold(),
        validator=_not_repair,
        help="what happens to a part that cannot be scanned: too large, damaged, slow",
    )
    on_unavailable: Action = setting(
        Defer(), validator=_not_repair, help="what happens while the scanner is down or not well"
    )
    replacement: Template = setting(
        Template(REPLACEMENT),
        help="text of a placeholder without one of its own; names: filename, virus, reason, part, hostname",
    )
    eicar: bool = setting(True, help="find the EICAR test file, and its variants with a prefix")
    signatures: tuple[Path, ...] = setting((), help="hash lists in ClamAV's .hdb and .hsb forms")
    clamd: str = setting("", validator=_clamd, help="clamd: unix:/path/of/socket or host:port; empty: off")
    clamd_timeout_s: Seconds = setting(
        Seconds(30.0), validator=between(0.1, 3600), help="time for one part at clamd; then it counts as unchecked"
    )
    clamd_max_bytes: ByteSize = setting(
        ByteSize(100 * 1024 * 1024),
        validator=between(1024, 4 * 1024**3),
        help="larger parts are not sent to clamd and count as unchecked; never more than clamd's own limits",
    )
