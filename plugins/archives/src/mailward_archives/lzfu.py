"""Compressed RTF of Outlook (MS-OXRTFCP): LZ77 with a window of 4,096 bytes that starts filled."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.content import CHUNK_BYTES, Content, unopened
from mailward_archives.window import WINDOW_BYTES, repeated

_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_COMPRESSED = b"LZFu"
_PLAIN = b"MELA"


class LzfuError(ValueError):
    """The content is no compressed RTF."""


def unpack_rtf(data: bytes) -> Iterator[bytes]:
    """The RTF text in pieces; LzfuError where the header is not one. Damaged content ends where the damage is."""
    if len(data) < 16:
        raise LzfuError("too short for a header")
    packed_size, size, magic, _ = struct.unpack_from("<II4sI", data)
    body = data[16 : max(packed_size - 12, 0) + 16]
    if magic == _PLAIN:
        yield body[:size]
    elif magic == _COMPRESSED:
        yield from _unpack(body)
    else:
        raise LzfuError("neither compressed nor plain")


def _unpack(body: bytes) -> Iterator[bytes]:
    window = bytearray(_START.ljust(WINDOW_BYTES, b" "))
    at, position, out = len(_START), 0, bytearray()
    while position < len(body):
        flags = body[position]
        position += 1
        for bit in range(8):
            if position >= len(body):
                break
            if not flags >> bit & 1:
                byte = body[position]
                position += 1
                out.append(byte)
                window[at] = byte
                at = (at + 1) % WINDOW_BYTES
                continue
            if position + 1 >= len(body):
                yield bytes(out)
                return
            reference = body[position] << 8 | body[position + 1]
            position += 2
            source = reference >> 4
            if source == at:
                yield bytes(out)
                return
            at = repeated(window, at, source, (reference & 0x0F) + 2, out)
        if len(out) >= CHUNK_BYTES:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def rtf_body(part: Part, data: bytes) -> Iterator[Member | Finding]:
    """The RTF text of a message as a member ``body.rtf``."""
    content = Content(unpack_rtf(data), (LzfuError,))
    yield Member("body.rtf", content, raw_bytes=len(data))
    if content.error:
        yield unopened(part, f"compressed RTF: {content.error}", "body.rtf")
