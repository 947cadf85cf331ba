"""Names: what a recipient is made to believe."""

from __future__ import annotations

import re

from mailward import Part
from mailward_antivirus.heuristics.kinds import DOCUMENTS, OPENS, RUNS, kind_of_type
from mailward_antivirus.heuristics.trait import Traits, suffix, trait

_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_BLANK = "[\\s\u00a0\u2000-\u200d\u2028\u2029\u3000\ufeff\u2800]"
_PUSHED = re.compile(_BLANK + r"{6,}+\.?[^.\s]{1,8}\Z|[\u200b-\u200d\ufeff\u2800]++\.?[^.\s]{1,8}\Z")
_ENDINGS = " \t\r\n."


def inspect_names(part: Part) -> Traits:
    """Double, hidden and turned-round extensions, in every name that some client may show."""
    for name in part.names:
        yield from _inspect(name.raw, name.text)


def _inspect(raw: str, text: str) -> Traits:
    stem, _, last = text.rpartition(".")
    runs = last.strip().lower() in RUNS
    if runs and suffix(stem.rstrip(_ENDINGS)) in DOCUMENTS:
        yield trait("double_extension", ascii(text))
    if runs and _PUSHED.search(raw.rstrip(_ENDINGS)):
        yield trait("hidden_extension", ascii(raw))
    # Right-to-left languages use these characters lawfully; in the name of a program nobody does.
    if _TURNING.search(raw) and (runs or "\u202e" in raw):
        yield trait("bidirectional_name", ascii(raw))


def inspect_disguise(part: Part) -> Traits:
    """Whether the content is of another kind than names and header say."""
    content = kind_of_type(part.detected_type)
    if not content:
        return
    named = {OPENS[last] for name in part.names if (last := suffix(name.text)) in OPENS}
    declared = kind_of_type(part.declared_type)
    claims = named or ({declared} if declared else set())
    if not claims or content in claims or claims & {"script", "program"}:
        return
    evidence = f"{part.detected_type} called {part.filename or part.declared_type!r}"
    if content == "program":
        yield trait("disguised_program", evidence)
    elif not claims & _NEIGHBOURS.get(content, frozenset()):
        yield trait("disguised_content", evidence)


_NEIGHBOURS = {
    "rtf": frozenset(["office", "text"]),
    "html": frozenset(["office", "text", "mail", "archive", "xml"]),
    "office": frozenset(["archive", "text", "mail"]),
    "archive": frozenset(["office", "mail"]),
    "picture": frozenset(["text", "xml", "html"]),
    "mail": frozenset(["text", "html", "office"]),
    "pdf": frozenset(["text"]),
}
"""Kinds of content, and the kinds of names under which programs write them every day."""
