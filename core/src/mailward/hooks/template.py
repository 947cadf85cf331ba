"""Templates: texts for people, filled in within a sandbox; tags of older products are translated.

A tag is a name in another dress, so it becomes one (specification README, decision 6):

    {$MSGINFO}  ${MSGINFO}  %MSGINFO%   →   {{ MSGINFO }}

Only names in `TAGS` are tags. Whatever else looks like one is text, so that ``100% of %this%`` stays.
"""

from __future__ import annotations

import re

import jinja2
import jinja2.meta
import jinja2.nodes
import jinja2.sandbox
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

_OTHER_FILES = (jinja2.nodes.Include, jinja2.nodes.Import, jinja2.nodes.FromImport, jinja2.nodes.Extends)
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


@frozen
class Template:
    """A Jinja2 template, rendered in a sandbox; a syntax error is found when the configuration is loaded.

    ``names`` are those that the text uses, so that a plugin works out no others.
    """

    source: str = ""
    names: frozenset[str] = field(init=False, eq=False, repr=False)
    _compiled: jinja2.Template = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)
        text = translate(self.source)
        tree = environment.parse(text)
        for node in tree.find_all(_OTHER_FILES):
            # there is nothing to take them from, so every message that meets the text would wait
            raise jinja2.TemplateSyntaxError("a text cannot take in other templates", node.lineno)
        object.__setattr__(self, "names", frozenset(jinja2.meta.find_undeclared_variables(tree)))
        object.__setattr__(self, "_compiled", environment.from_string(text))

    def render(self, **names: object) -> str:
        """The text with ``names`` filled in; a name that is not given renders empty."""
        return self._compiled.render(**names)

    def __str__(self) -> str:
        return self.source

    def __bool__(self) -> bool:
        return bool(self.source)
