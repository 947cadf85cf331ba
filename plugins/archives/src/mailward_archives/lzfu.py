"""Compressed RTF of Outlook (MS-OXRTFCP): LZ77 with a window of 4,096 bytes that starts filled."""

from __future__ import annotations

import struct

_WINDOW = 4096
_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_COMPRESSED = b"LZFu"
_PLAIN = b"MELA"


class LzfuError(ValueError):
    """The content is no compressed RTF."""


def unpack_rtf(data: bytes) -> bytes:
    """The RTF text; LzfuError where the header is not one. Damaged content ends where the damage is."""
    if len(data) < 16:
        raise LzfuError("too short for a header")
    packed_size, size, magic, _ = struct.unpack_from("<II4sI", data)
    body = data[16 : max(packed_size - 12, 0) + 16]
    if magic == _PLAIN:
        return body[:size]
    if magic != _COMPRESSED:
        raise LzfuError("neither compressed nor plain")
    return _unpack(body)


def _unpack(body: bytes) -> bytes:
    window = bytearray(_START.ljust(_WINDOW, b" "))
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
                at = (at + 1) % _WINDOW
                continue
            if position + 1 >= len(body):
                return bytes(out)
            reference = body[position] << 8 | body[position + 1]
            position += 2
            source = reference >> 4
            if source == at:
                return bytes(out)
            for step in range((reference & 0x0F) + 2):
                byte = window[(source + step) % _WINDOW]
                out.append(byte)
                window[at] = byte
                at = (at + 1) % _WINDOW
    return bytes(out)
