"""yEnc 1.3: bytes shifted by 42 in lines of text between ``=ybegin`` and ``=yend``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data
from mailward_archives.content import multivolume

MARK = b"=ybegin "
_BEGIN = re.compile(rb"=ybegin ([^\r\n]{0,1000}?)name=([^\r\n]{1,1000})\r?\n(?:=ypart [^\r\n]{0,200}\r?\n)?")
_PART = re.compile(rb"part=(\d{1,9})")
_TOTAL = re.compile(rb"total=(\d{1,9})")
_ESCAPED = re.compile(rb"=(.)", re.S)
_SHIFT = bytes((code - 42) % 256 for code in range(256))
_UNESCAPE = bytes((code - 64) % 256 for code in range(256))
_STEP = 256 * 1024


@frozen
class Block:
    """One block: ``data_start:data_end`` its lines, ``end`` what follows it."""

    name: str
    data_start: int
    data_end: int
    end: int
    volume: bool


def blocks(data: Data) -> Iterator[Block]:
    """The blocks in a text, in order. One that is not closed ends where the text does."""
    at = 0
    while (begin := data.find(MARK, at)) >= 0:
        at = begin + len(MARK)
        if begin and data[begin - 1] != 0x0A:
            continue
        match = _BEGIN.match(data, begin)
        if match is None:
            continue
        stop = data.find(b"\n=yend", match.end() - 1)
        data_end = stop + 1 if stop >= 0 else len(data)
        line = data.find(b"\n", data_end) if stop >= 0 else -1
        at = line + 1 if line >= 0 else len(data)
        yield Block(match[2].decode("utf-8", "replace").strip(), match.end(), data_end, at, _is_volume(match[1]))


def _is_volume(fields: bytes) -> bool:
    part, total = _PART.search(fields), _TOTAL.search(fields)
    return part is not None and (total is None or int(total[1]) > 1 or int(part[1]) > 1)


def unpack_block(part: Part, data: Data, block: Block) -> Iterator[Member | Finding]:
    """The file in a block; one part of several is looked at by itself, with a finding."""
    yield Member(block.name, decode(data, block.data_start, block.data_end))
    if block.volume:
        yield multivolume(part, f"yenc: {block.name!r} is one of several parts")


def decode(data: Data, start: int, end: int) -> Iterator[bytes]:
    """The bytes that the lines in ``start:end`` stand for."""
    rest = b""
    for at in range(start, end, _STEP):
        text = rest + data[at : min(at + _STEP, end)].translate(None, b"\r\n")
        rest = b""
        if text.endswith(b"=") and at + _STEP < end and _odd_at_end(text):
            text, rest = text[:-1], b"="
        # Shifting comes after unescaping, so that what an escape stands for cannot be one.
        yield _ESCAPED.sub(_escaped, text).translate(_SHIFT)


def _odd_at_end(text: bytes) -> bool:
    """Whether the last equals sign starts an escape rather than being one's second half."""
    return (len(text) - len(text.rstrip(b"="))) % 2 == 1


def _escaped(match: re.Match[bytes]) -> bytes:
    return match[1].translate(_UNESCAPE)
