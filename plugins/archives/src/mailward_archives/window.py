"""The sliding window of LZSS, as szdd and the compressed RTF of Outlook have it: a ring of 4,096 bytes."""

from __future__ import annotations

WINDOW_BYTES = 4096


def repeated(window: bytearray, at: int, source: int, count: int, out: bytearray) -> int:
    """Append ``count`` bytes from ``source`` on to ``out`` and to the window; the new position in the window.

    Byte by byte: what is repeated may be among what is written.
    """
    for step in range(count):
        byte = window[(source + step) % WINDOW_BYTES]
        out.append(byte)
        window[at] = byte
        at = (at + 1) % WINDOW_BYTES
    return at
