"""RTF: the data of objects and links to templates are blanked; text and layout stay."""

from __future__ import annotations

import re

from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed

_DATA = re.compile(rb"(?<!\\)\\objdata\b")
_STARTS = re.compile(rb"(?<!\\)\\obj(?:update|autlink)\b")
_TEMPLATE = re.compile(rb"(?<!\\)\\template\b")
_STRUCTURE = re.compile(rb"\\.|[{}]", re.S)


def disarm_rtf(content: bytes) -> Disarmed:
    """The text without its objects' data. Raises CannotDisarm where groups are not closed."""
    text = bytearray(content)
    removed: list[str] = []
    for found, what in ((_DATA, "embedded objects"), (_TEMPLATE, "a template from elsewhere")):
        for match in found.finditer(content):
            start, end = match.end(), _end_of_group(content, match.end())
            text[start:end] = b" " * (end - start)
            removed.append(what)
    for match in _STARTS.finditer(content):
        start, end = match.span()
        text[start:end] = b" " * (end - start)
        removed.append("objects that start by themselves")
    return Disarmed(bytes(text), tuple(dict.fromkeys(removed)))


def _end_of_group(content: bytes, start: int) -> int:
    depth = 0
    for token in _STRUCTURE.finditer(content, start):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            if not depth:
                return token.start()
            depth -= 1
    raise CannotDisarm("a group is not closed")
