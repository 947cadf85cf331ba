"""Fields and templates of RTF: their instructions as Word reads them, however they are written.

Word takes the characters of an instruction together from groups, between control words, from escapes
in hexadecimal and Unicode, and leaves out groups that are marked ``\\*`` and that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, frozen

from mailward_antivirus.heuristics.addresses import is_remote, runs_code
from mailward_antivirus.heuristics.patterns import pattern

MOST_TOKENS = 400_000
"""How many words, groups and runs of text of all fields are looked at."""
_MOST_NESTED = 50
_LONGEST_TEXT = 16 * 1024
_FIRST_WORD = pattern(r"\\(?:fldinst|template)(?:[^a-z]|$)")
_TOKEN = re.compile(
    rb"(?P<open>\{)|(?P<close>\})|(?P<text>[^\\{}\r\n]++)|\\'(?P<hex>[0-9A-Fa-f]{2})"
    rb"|\\(?P<word>[A-Za-z]++)(?P<number>-?\d{1,10})? ?|\\(?P<symbol>[^A-Za-z])|[\r\n]++|\\",
    re.S,
)
_OF_TEXT = frozenset((b"fldinst", b"ud", b"field", b"template"))
"""Destinations whose text belongs to the instruction around them, also where they are marked."""
_ASIDE = frozenset(
    (b"pict", b"fonttbl", b"colortbl", b"stylesheet", b"info", b"objdata", b"footnote", b"xe", b"tc", b"nonshppict")
)
"""Destinations whose text is no text of an instruction, also where they are not marked."""
_BLANKS = frozenset((b"tab", b"par", b"line", b"cell", b"row", b"sect", b"page"))
_PLAIN_SYMBOLS = frozenset(b"\\{}")
_KEYWORD = re.compile(r"[\s\"'\\{}]*+([A-Za-z]++)")
_STARTS = frozenset(("DDE", "DDEAUTO"))
_LOADS = frozenset(("LINK", "INCLUDE", "INCLUDETEXT", "INCLUDEPICTURE", "IMPORT", "RD", "DATABASE"))


@frozen
class Instruction:
    """One instruction: what stands at ``start:end``, behind its control word up to the end of its group.

    ``word`` is ``fldinst`` or ``template``. ``escaped``: letters of it are written in hexadecimal.
    ``computed``: another field is part of it. ``whole``: it was read to the end of its group.
    """

    word: str
    start: int
    end: int
    text: str
    escaped: bool
    computed: bool
    whole: bool

    @property
    def rule(self) -> str:
        """The trait that the instruction is, empty where it is none."""
        address = self.text.encode("utf-8", "replace")
        if self.word == "template":
            found = "external_template"
        else:
            match = _KEYWORD.match(self.text)
            keyword = match[1].upper() if match else ""
            if keyword in _STARTS:
                return "dde"
            if keyword not in _LOADS:
                return ""
            found = "external_object"
        if runs_code(address):
            return "external_moniker"
        return found if is_remote(address) or self.computed else ""


@define
class _Open:
    """An instruction that is being read; ``depth`` is that of its group."""

    word: str
    start: int
    depth: int
    pieces: list[str]
    size: int = 0
    escaped: bool = False
    computed: bool = False

    def add(self, text: str) -> None:
        if self.size < _LONGEST_TEXT:
            self.pieces.append(text)
            self.size += len(text)

    def closed(self, end: int, whole: bool) -> Instruction:
        text = "".join(self.pieces)[:_LONGEST_TEXT]
        return Instruction(self.word, self.start, end, text, self.escaped, self.computed, whole)


def instructions(data: bytes) -> Iterator[Instruction]:
    """Those of all fields, inner before outer, and of the template.

    Some are not `Instruction.whole` where groups are not closed, and where the document has more in its
    fields, or more of them within one another, than is looked at: these end before the document does.
    """
    reader = _Reader(data)
    for match in _FIRST_WORD.finditer(data):
        if match.start() >= reader.at and not _is_escaped(data, match.start()):
            yield from reader.read(match.start())
            if reader.tokens >= MOST_TOKENS:
                return


def _is_escaped(data: bytes, at: int) -> bool:
    """Whether the backslash at ``at`` is itself a character, as in ``\\\\``."""
    run = data[max(0, at - 256) : at]
    return (len(run) - len(run.rstrip(b"\\"))) % 2 == 1


class _Reader:
    """Reads outermost instructions with all that is in them; every byte once, so the work is bounded."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self.tokens = 0
        self._reset()

    def _reset(self) -> None:
        self._open: list[_Open] = []
        self._depth = 0
        self._left_out = -1
        self._marked = False
        self._fallbacks = [1]
        self._skipped = 0

    def read(self, at: int) -> Iterator[Instruction]:
        """The instructions from the control word at ``at`` on, up to the end of its group."""
        self._reset()
        self.at = at
        while self.tokens < MOST_TOKENS and (token := _TOKEN.match(self._data, self.at)) is not None:
            self.tokens += 1
            self.at = token.end()
            if token.lastgroup == "close":
                yield from self._close(token.start())
                if not self._open:
                    return
            else:
                self._take(token)
        while self._open:
            yield self._open.pop().closed(self.at, whole=False)

    def _take(self, token: re.Match[bytes]) -> None:
        kind = token.lastgroup
        if kind == "open":
            self._depth += 1
            self._fallbacks.append(self._fallbacks[-1])
            self._skipped = 0
        elif kind in ("word", "number"):
            self._word(token["word"].lower(), int(token["number"] or 1), token["number"] is not None)
        elif kind == "symbol" and token["symbol"] == b"*":
            self._marked = True
        elif self._left_out >= 0:
            return
        elif kind == "text":
            text = token["text"].decode("latin-1")
            self._text(text[self._skipped :])
            self._skipped = max(0, self._skipped - len(text))
        elif kind == "hex":
            self._hex(chr(int(token["hex"], 16)))
        elif kind == "symbol":
            self._text(token["symbol"].decode("latin-1") if token["symbol"][0] in _PLAIN_SYMBOLS else "")

    def _hex(self, character: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        self._text(character)
        if self._open and character.isascii() and character.isalnum():
            self._open[-1].escaped = True

    def _word(self, word: bytes, number: int, numbered: bool) -> None:
        marked, self._marked = self._marked, False
        if word == b"bin":
            self.at += max(0, number) if numbered else 0
        elif self._left_out >= 0:
            return
        elif word in (b"fldinst", b"template"):
            self._begin(word.decode("ascii"))
        elif word in _ASIDE or (marked and word not in _OF_TEXT):
            self._left_out = self._depth
        elif word == b"uc":
            self._fallbacks[-1] = max(0, number)
        elif word == b"u":
            self._text(chr(number % 0x10000) if number else "")
            self._skipped = self._fallbacks[-1]
        elif word in _BLANKS:
            self._text(" ")

    def _begin(self, word: str) -> None:
        for one in self._open:
            one.computed = True
        self._open.append(_Open(word, self.at, self._depth, []))
        if len(self._open) > _MOST_NESTED:
            self.tokens = MOST_TOKENS

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].add(text)

    def _close(self, end: int) -> Iterator[Instruction]:
        if self._left_out == self._depth:
            self._left_out = -1
        while self._open and self._open[-1].depth == self._depth:
            done = self._open.pop().closed(end, whole=True)
            if self._open:
                self._open[-1].add(done.text)
            yield done
        self._depth -= 1
        self._skipped = 0
        if len(self._fallbacks) > 1:
            self._fallbacks.pop()
