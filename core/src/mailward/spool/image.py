"""The queue file: body, full record, footer, then a state record and footer for each change.

    body[0:body_length) | full record | footer | state record | footer | …

A footer is 48 bytes, big-endian, and says all that is needed to read the file from its end:

    magic (8)  version (2)  zero (2)  full record's length (4)  body length (8)
    record's start (8)  record's length (4)  full record's CRC (4)  record's CRC (4)  footer's CRC (4)

The last valid footer wins. An append torn by a crash leaves no valid footer at the end (or one
whose record does not match its CRC), and the search goes back to the one before. The footer's CRC
starts with the message's id, which is random and not known to who sent the body: footers written
into a body are not taken for ours.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator

from attrs import frozen

from mailward.spool.entry import Entry, Queue
from mailward.spool.record import Damaged, full_record, read_record, state_record

MAGIC = b"\x89MWQ\r\n\x1a\n"
VERSION = 1
_FIELDS = struct.Struct(">8sHHIQQIII")
_CRC = struct.Struct(">I")
FOOTER_BYTES = _FIELDS.size + _CRC.size
_BLOCK = 64 * 1024


@frozen
class Footer:
    """A footer as read; ``end`` is the offset of the first byte after it."""

    body_length: int
    full_length: int
    full_crc: int
    record_start: int
    record_length: int
    record_crc: int
    end: int

    @property
    def is_first(self) -> bool:
        """Whether this is the footer of the full record."""
        return self.record_start == self.body_length


def _footer(message_id: str, numbers: tuple[int, int, int, int, int, int]) -> bytes:
    full_length, body_length, start, length, full_crc, record_crc = numbers
    fields = _FIELDS.pack(MAGIC, VERSION, 0, full_length, body_length, start, length, full_crc, record_crc)
    return fields + _CRC.pack(zlib.crc32(fields, zlib.crc32(message_id.encode("ascii"))))


def first_image(entry: Entry) -> bytes:
    """What comes after the body of a new file."""
    record = full_record(entry)
    crc = zlib.crc32(record)
    return record + _footer(entry.id, (len(record), entry.size_bytes, entry.size_bytes, len(record), crc, crc))


def next_image(entry: Entry, last: Footer) -> bytes:
    """What comes after ``last`` to make ``entry`` the state of the message."""
    record = state_record(entry)
    numbers = (last.full_length, last.body_length, last.end, len(record), last.full_crc, zlib.crc32(record))
    return record + _footer(entry.id, numbers)


def _parse(message_id: str, data: bytes, position: int) -> Footer | None:
    if len(data) < FOOTER_BYTES or not data.startswith(MAGIC):
        return None
    fields = data[: _FIELDS.size]
    if _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(fields, zlib.crc32(message_id.encode("ascii"))):
        return None
    _, version, _, full_length, body_length, start, length, full_crc, record_crc = _FIELDS.unpack(fields)
    if version != VERSION or start + length != position:
        return None
    if start != body_length and start < body_length + full_length + FOOTER_BYTES:
        return None
    return Footer(body_length, full_length, full_crc, start, length, record_crc, position + FOOTER_BYTES)


def _positions(fd: int, size: int) -> Iterator[int]:
    """Where the magic stands in the file, last first."""
    high = size
    while high > 0:
        low = max(0, high - _BLOCK)
        block = os.pread(fd, high - low + len(MAGIC) - 1, low)
        at = block.rfind(MAGIC)
        while at >= 0:
            yield low + at
            at = block.rfind(MAGIC, 0, at + len(MAGIC) - 1)
        high = low


def footers(fd: int, message_id: str) -> Iterator[Footer]:
    """The valid footers of a file, last first. Raises OSError where it cannot be read."""
    size = os.fstat(fd).st_size
    at_end = max(0, size - FOOTER_BYTES)
    last = _parse(message_id, os.pread(fd, FOOTER_BYTES, at_end), at_end)
    if last is not None:
        yield last
    for position in _positions(fd, size):
        footer = _parse(message_id, os.pread(fd, FOOTER_BYTES, position), position)
        if footer is not None and (last is None or footer.end != last.end):
            yield footer


def last_footer(fd: int, message_id: str) -> Footer:
    """The last valid footer; raises Damaged where there is none, OSError where the file cannot be read."""
    for footer in footers(fd, message_id):
        return footer
    raise Damaged(f"{message_id}: no footer found")


def _piece(fd: int, start: int, length: int, crc: int) -> bytes | None:
    data = os.pread(fd, length, start)
    return data if len(data) == length and zlib.crc32(data) == crc else None


def read_entry(fd: int, message_id: str, queue: Queue) -> Entry:
    """The message's last state that is whole.

    Raises Damaged where there is none, OSError where the file cannot be read.
    """
    for footer in footers(fd, message_id):
        full = _piece(fd, footer.body_length, footer.full_length, footer.full_crc)
        if full is None:
            continue
        if footer.is_first:
            return read_record(message_id, queue, full, None)
        state = _piece(fd, footer.record_start, footer.record_length, footer.record_crc)
        if state is not None:
            return read_record(message_id, queue, full, state)
    raise Damaged(f"{message_id}: no state found that is whole")
