"""Templates: texts for people, filled in within a sandbox; tags of older products are translated.

A tag is a name in another dress, so it becomes one (specification README, decision 6):

    {$MSGINFO}  ${MSGINFO}  %MSGINFO%   →   {{ MSGINFO }}

Only names in `TAGS` are tags. Whatever else looks like one is text, so that ``100% of %this%`` stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from attrs import field, frozen

TAGS = frozenset(
    (
        *("MSGINFO", "CONTENTINFO", "VIRUSINFO", "SPAMINFO", "ENCRYPTINFO", "DISPOSITION", "FILE"),
        *("DATE", "TIME", "HOSTNAME", "PRODUCT", "ENVELOPE_ID", "SRCID", "MESSAGE_ID", "SENDER", "RECIPIENTS"),
        *("SUBJECT", "CLIENT_IP", "HELO", "SIZE", "GROUP", "STATUS", "VIRUS_NAMES", "OBJECT_NAME", "OBJECT_TYPE"),
        *("ACTION", "POSTMASTER", "NEW_MESSAGE_COUNT", "NEW_QUARANTINE_MESSAGES", "QUARANTINE_DAYS"),
        *("QUARANTINE_URL", "USER_NAME"),
    )
)
"""The tags of older products (SAV-NTF-03, SMS-NOTE-02, KAV-NTF-05, SMS-QUAR-07)."""

_NAME = "|".join(sorted(TAGS, key=len, reverse=True))
_BRACED = re.compile(rf"\{{\$({_NAME})\}}|\$\{{({_NAME})\}}")
_PERCENT = re.compile(rf"%({_NAME})%")
_PERCENT_TEXT = re.compile(rf"%({_NAME})%|%%")


def translate(text: str) -> str:
    """``text`` with the tags of older products written as names of a template.

    ``%%`` is a percent sign where a text has tags between percent signs (KAV-NTF-05); elsewhere it is itself.
    """
    text = _BRACED.sub(lambda tag: f"{{{{ {tag[1] or tag[2]} }}}}", text)
    if _PERCENT.search(text) is None:
        return text
    return _PERCENT_TEXT.sub(lambda tag: f"{{{{ {tag[1]} }}}}" if tag[1] else "%", text)


def _empty(**names: object) -> str:
    return ""


def _compiled(text: str) -> tuple[frozenset[str], Callable[..., str]]:
    # jinja2 comes with the first template that has a text: commands that only need the core's settings have none
    from mailward.hooks.sandbox import compiled

    return compiled(text)


@frozen
class Template:
    """A Jinja2 template, rendered in a sandbox; a syntax error is found when the configuration is loaded.

    ``names`` are those that the text uses, so that a plugin works out no others.
    """

    source: str = ""
    names: frozenset[str] = field(init=False, eq=False, repr=False)
    _fill: Callable[..., str] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        names, fill = _compiled(translate(self.source)) if self.source else (frozenset[str](), _empty)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "_fill", fill)

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, source: str) -> Template:
        """The template with this text, compiled once: for texts that stand in actions."""
        return cls(source)

    def render(self, **names: object) -> str:
        """The text with ``names`` filled in; a name that is not given renders empty."""
        return self._fill(**names)

    def __str__(self) -> str:
        return self.source

    def __bool__(self) -> bool:
        return bool(self.source)
