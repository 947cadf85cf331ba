"""What settings may hold: validators, each with a message that says what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import jinja2

from mailward import Action, PartAction, Placeholder, Repair, Template


class Choice(StrEnum):
    """Which files are scanned (SAV-AV-02, SMS-SCAN-01)."""

    ALL = "all"
    INCLUDE = "include"
    EXCLUDE = "exclude"


class Named(StrEnum):
    """The statuses that a list in the settings may name (KAV-ACT-03); an empty list is ``none``."""

    INFECTED = "infected"
    DISINFECTED = "disinfected"
    SUSPICIOUS = "suspicious"
    PROTECTED = "protected"
    ERROR = "error"
    FILTERED = "filtered"
    ALL = "all"


class Central(StrEnum):
    """What goes to the central quarantine (SAV-QTN-01, SMS-AV-05)."""

    NOTHING = "nothing"
    UNREPAIRED = "unrepaired"
    ALL = "all"


class Use(StrEnum):
    """How sets of definitions are used: not, where there is one, or nothing is clean without one (IMA-ALR-07)."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


def chain(instance: object, attribute: Any, actions: Sequence[Action]) -> None:
    """SAV-AV-04: repairs first, then at most one action that always works."""
    if not actions:
        raise ValueError("is empty; allowed: repair, then one other action")
    for place, action in enumerate(actions[:-1]):
        if not isinstance(action, Repair):
            raise ValueError(
                f"{actions[place + 1]} is never reached, for {action} always applies; on_unremoved is "
                "for what could be neither repaired nor removed; allowed: repair, then one other action"
            )
    texts(actions)


def not_repair(instance: object, attribute: Any, action: Action) -> None:
    """Nothing can be repaired in what was not checked."""
    if isinstance(action, Repair):
        raise ValueError("repair is for infected and suspicious parts alone; allowed: every other action")
    texts((action,))


def one(instance: object, attribute: Any, action: Action) -> None:
    """Any action, its texts in order."""
    texts((action,))


def whole(instance: object, attribute: Any, action: Action) -> None:
    """What is left over, and what is blocked, cannot be handled by taking a part out."""
    if isinstance(action, PartAction):
        raise ValueError(f"{action} is an action on a part; allowed: an action on the message, as drop or hold")


def none_or_between(low: float, high: float) -> Callable[[object, Any, float], None]:
    """0 for none, or a value in ``low..high``."""

    def check(instance: object, attribute: Any, value: float) -> None:
        if value and not low <= value <= high:
            raise ValueError(f"out of range; allowed: 0, or {low:g} to {high:g}")

    return check


def central_to(instance: object, attribute: Any, text: str) -> None:
    """An https address without a password in it, or a folder."""
    if "://" in text:
        url = urlsplit(text)
        if not text.isprintable() or url.scheme != "https" or not url.hostname or url.username is not None:
            raise ValueError(f"{text!r} cannot be sent to; allowed: https://host/path, or the path of a folder")


def statuses(instance: object, attribute: Any, listed: Sequence[Named]) -> None:
    """No status twice."""
    if len(set(listed)) < len(listed):
        raise ValueError(
            "names a status twice; allowed: infected, disinfected, suspicious, protected, error, filtered, all"
        )


def texts(actions: Sequence[Action]) -> None:
    """Texts of placeholders are templates; ValueError where one is none."""
    for action in actions:
        if isinstance(action, Placeholder):
            try:
                Template(action.text)
            except jinja2.TemplateSyntaxError as error:
                raise ValueError(f"text of placeholder, line {error.lineno}: {error.message}") from error


def extensions(instance: object, attribute: Any, lists: Sequence[str]) -> None:
    """Each entry is ``.ext``, empty (files without an extension), or several of these with ``;`` between (IMA-EXT)."""
    for entry in (entry for text in lists for entry in text.split(";")):
        if entry.strip() and (not entry.strip().startswith(".") or len(entry.strip()) < 2 or "." in entry.strip()[1:]):
            raise ValueError(f'{entry!r} is no extension; allowed: ".exe", or ".com;.exe;;" (;; for files without one)')
