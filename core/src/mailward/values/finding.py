"""Findings: what a plugin (or the core) saw."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from mailward.values.action import Action


class Kind(StrEnum):
    """What sort of fact a finding states. Only `NOTE` never makes a message other than clean.

    ``FILTERED``: a filter of the administrator took the part out of what is scanned (KAV-SCN-06).
    """

    INFECTED = "infected"
    SUSPICIOUS = "suspicious"
    SPAM = "spam"
    CONTENT = "content"
    ENCRYPTED = "encrypted"
    UNCHECKED = "unchecked"
    MALFORMED = "malformed"
    AMBIGUOUS = "ambiguous"
    LIMIT = "limit"
    FAILURE = "failure"
    FILTERED = "filtered"
    REFUSED = "refused"
    NOTE = "note"


@frozen
class Finding:
    """One attributed fact.

    ``plugin`` is the name in the configuration (``core`` for the core's own), ``rule`` the rule of
    that plugin, ``part`` the path of the part (empty: the message), ``name`` what was found (a
    virus name, a pattern), ``score`` a weight where the plugin weighs, ``action`` the action that
    the plugin's settings give it, ``elapsed_ms`` the time of the call that found it. ``shadow``
    marks a finding of a plugin in shadow mode: recorded, never applied.
    """

    kind: Kind
    plugin: str
    rule: str
    part: str = ""
    name: str = ""
    score: float = 0.0
    detail: str = ""
    action: Action | None = None
    elapsed_ms: float = 0.0
    shadow: bool = False
