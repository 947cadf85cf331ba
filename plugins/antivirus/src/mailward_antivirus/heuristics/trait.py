"""Traits: the marks of content that may do harm, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from mailward import Part, printable

MAX_EVIDENCE = 200
"""Characters of evidence that are kept: it goes into logs and reports."""


@frozen
class Trait:
    """One mark of one part. ``rule`` is its name in the table of weights, ``evidence`` what was seen."""

    rule: str
    evidence: str = ""


Traits = Iterator[Trait]


def trait(rule: str, evidence: str | bytes = "") -> Trait:
    """A trait with its evidence made fit for a log: one line, printable, bounded."""
    text = evidence.decode("utf-8", "replace") if isinstance(evidence, bytes) else evidence
    return Trait(rule, printable(text[: 2 * MAX_EVIDENCE])[:MAX_EVIDENCE])


def beyond(part: Part, most_bytes: int) -> Traits:
    """That a part is larger than what is looked at of it: what is padded so is not passed over in silence."""
    if part.size > most_bytes:
        yield trait("not_all_read", f"{part.size} bytes, of which the first {most_bytes} are looked at")


def suffix(name: str) -> str:
    """The last extension of a file name in lower case, without its dot; empty where there is none."""
    stem, dot, last = name.rpartition(".")
    return last.strip().lower() if dot and stem else ""


def suffixes(part: Part) -> tuple[str, ...]:
    """The extensions of every name that some client may show."""
    return tuple(dict.fromkeys(filter(None, (suffix(name.text) for name in part.names))))


def member_path(part: Part) -> str:
    """Where a member lies in its container, in lower case, with a slash in front; empty where it has no name."""
    return "/" + part.names[0].raw.replace("\\", "/").lower() if part.names else ""
