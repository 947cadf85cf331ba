"""RTF: the data of objects, links to templates and fields that act are blanked; text and layout stay."""

from __future__ import annotations

import re

from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed
from mailward_antivirus.heuristics.rtf_fields import instructions

_WORD = rb"(?<!\\)(?:\\\\)*(\\(?:%s)(?![A-Za-z]))"
"""A control word: after characters that are ``\\``, and up to its last letter; a number may follow at once."""
_DATA = re.compile(_WORD % rb"objdata")
_STARTS = re.compile(_WORD % rb"objupdate|objautlink" + rb"(?:-?\d+)?")
_TEMPLATE = re.compile(_WORD % rb"template")
_STRUCTURE = re.compile(rb"\\bin(-?\d*) ?|\\.|[{}]", re.S)
_MOST_DIGITS = 9
_FIELDS = {"dde": "fields that start programs", "external_template": "a template from elsewhere"}


def disarm_rtf(content: bytes) -> Disarmed:
    """The text without its objects' data and its fields that act. Raises CannotDisarm where groups are not closed.

    It is raised as well where fields have more in them than is looked at.
    """
    text = bytearray(content)
    removed: list[str] = []
    for found, what in ((_DATA, "embedded objects"), (_TEMPLATE, "a template from elsewhere")):
        end = 0
        for match in found.finditer(content):
            if match.start() < end:  # within what is blanked already: looked at once, however deep it is nested
                continue
            start, end = match.end(), _end_of_group(content, match.end())
            text[start:end] = b" " * (end - start)
            removed.append(what)
    for match in _STARTS.finditer(content):
        start, end = match.start(1), match.end()
        text[start:end] = b" " * (end - start)
        removed.append("objects that start by themselves")
    for one in instructions(content):
        if not one.whole:
            raise CannotDisarm("a field is not closed, or has more in it than is looked at")
        if one.rule:
            text[one.start : one.end] = b" " * (one.end - one.start)
            removed.append(_FIELDS.get(one.rule, "fields that load from elsewhere"))
    return Disarmed(bytes(text), tuple(dict.fromkeys(removed)))


def _end_of_group(content: bytes, start: int) -> int:
    depth, place = 0, start
    while (token := _STRUCTURE.search(content, place)) is not None:
        place = token.end()
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            if not depth:
                return token.start()
            depth -= 1
        elif token[1]:
            if len(token[1]) > _MOST_DIGITS:
                raise CannotDisarm("binary data of absurd length")
            place += int(token[1]) if token[1].isdigit() else 0  # bytes in which no brace counts
    raise CannotDisarm("a group is not closed")
