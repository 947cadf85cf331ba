"""A segment of the journal: small messages, one record after the other, in a file of fixed size.

    0        header, 64 bytes
    64       marks, 8 bytes for each record
    36,864   records; each batch begins at a multiple of 4,096

Big-endian. The header is

    magic (8)  version (2)  zero (2)  marks (4)  born, ns (8)  generation (8)  zero (28)  CRC-32 (4)

and a record

    generation (8)  number (4)  queue (1)  zero (1)  length of the id (2)  of the full record (4)
    of the body (4)  CRC-32 of all the rest (4)  |  id  |  full record  |  body

A segment whose messages are all gone is written again from its beginning under a new generation, 8
random bytes. Only records and marks of the header's generation count, so nothing need be erased,
and nobody can know what to write into a message to make it look like a record.

A mark is the first six bytes of the generation, then ``D`` and zero (the message is gone), or ``S`` and
the number of times that work on it was started. Marks are written in place and never synced for
their own sake: they survive the end of the process, and a power failure brings back at worst a
message that was delivered moments before.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence

from attrs import frozen

from mailward.spool.entry import Entry, Queue
from mailward.spool.record import Damaged, read_record

SEGMENT_BYTES = 8 * 1024 * 1024
MARKS = 4096
RECORDS_AT = 36_864
PAGE = 4096
GONE = b"D"
STARTED = b"S"
MAX_STARTED = 255
_MAGIC = b"\x89MWJ\r\n\x1a\n"
_VERSION = 1
_HEADER = struct.Struct(">8sHHIQ8s28x")
_RECORD = struct.Struct(">8sIsxHII")
_CRC = struct.Struct(">I")
_HEADER_BYTES = _HEADER.size + _CRC.size
GENERATION_BYTES = 8
MARK_PREFIX_BYTES = 6
_RECORD_BYTES = _RECORD.size + _CRC.size
_MARK_BYTES = 8
_CODES = {Queue.FAST: b"F", Queue.INCOMING: b"I"}
_QUEUES = {code: queue for queue, code in _CODES.items()}
JOURNALED = frozenset(_CODES)
"""The queues whose small messages are kept in the journal."""


@frozen
class Header:
    """The header of a segment; ``born_ns`` orders the segments of a slot."""

    generation: bytes
    born_ns: int


@frozen
class Record:
    """One record as found: where it is, and its bytes."""

    number: int
    start: int
    length: int
    id: str
    queue: Queue
    full: bytes
    body: bytes

    def entry(self, started: int) -> Entry:
        """The entry that the record holds. Raises Damaged."""
        entry = read_record(self.id, self.queue, self.full, None)
        return entry.with_started(started) if started else entry


def header_bytes(header: Header) -> bytes:
    """The header as written."""
    fields = _HEADER.pack(_MAGIC, _VERSION, 0, MARKS, header.born_ns, header.generation)
    return fields + _CRC.pack(zlib.crc32(fields))


def read_header(fd: int) -> Header | None:
    """The header of a file; None where it has no valid one. Raises OSError."""
    data = os.pread(fd, _HEADER_BYTES, 0)
    if len(data) < _HEADER_BYTES or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        return None
    magic, version, _, marks, born_ns, generation = _HEADER.unpack_from(data)
    return Header(generation, born_ns) if (magic, version, marks) == (_MAGIC, _VERSION, MARKS) else None


def record_pieces(generation: bytes, number: int, entry: Entry, full: bytes, body: bytes) -> tuple[bytes, ...]:
    """A record in pieces to be written one after the other."""
    name = entry.id.encode("ascii")
    fields = _RECORD.pack(generation, number, _CODES[entry.queue], len(name), len(full), len(body))
    crc = zlib.crc32(body, zlib.crc32(full, zlib.crc32(name, zlib.crc32(fields))))
    return (fields, _CRC.pack(crc), name, full, body)


def record_bytes(entry: Entry, full: bytes, body: bytes) -> int:
    """The length of a record."""
    return _RECORD_BYTES + len(entry.id) + len(full) + len(body)


def parse_record(generation: bytes, data: bytes, start: int, at: int) -> Record | None:
    """The record that begins at ``data[at]``, which is offset ``start`` of the file; None where none does."""
    if len(data) - at < _RECORD_BYTES or data[at : at + 8] != generation:
        return None
    _, number, code, name_length, full_length, body_length = _RECORD.unpack_from(data, at)
    length = _RECORD_BYTES + name_length + full_length + body_length
    if code not in _QUEUES or length > len(data) - at:
        return None
    rest = memoryview(data)[at + _RECORD_BYTES : at + length]
    if _CRC.unpack_from(data, at + _RECORD.size)[0] != zlib.crc32(rest, zlib.crc32(data[at : at + _RECORD.size])):
        return None
    full_end = name_length + full_length
    name = str(rest[:name_length], "ascii")
    return Record(number, start, length, name, _QUEUES[code], bytes(rest[name_length:full_end]), bytes(rest[full_end:]))


def records(fd: int, header: Header) -> Iterator[Record]:
    """The records of a segment in the order of their arrival, those that are gone too. Raises OSError.

    Records that the disk has damaged are passed over: numbers are missing then.
    """
    size = min(os.fstat(fd).st_size, SEGMENT_BYTES)
    data = os.pread(fd, size - RECORDS_AT, RECORDS_AT) if size > RECORDS_AT else b""
    at = number = 0
    while number < MARKS and at >= 0:
        record = parse_record(header.generation, data, RECORDS_AT + at, at)
        if record is not None and number <= record.number < MARKS:
            yield record
            at += record.length
            number = record.number + 1
            if data[at : at + 8] == header.generation:
                continue
        else:
            at += 1
        at = data.find(header.generation, at)


def is_damaged(fd: int, header: Header, found: Sequence[Record], marks: Marks) -> bool:
    """Whether a segment has had records of messages that are not gone, and that are not ``found`` in it.

    It is shorter than it was made, numbers are missing, or the generation stands after the last record: a
    damaged one, or the beginning of a batch that a power failure cut off. Raises OSError.
    """
    if os.fstat(fd).st_size < SEGMENT_BYTES:
        return True
    last, at = (found[-1].number, found[-1].start + found[-1].length) if found else (-1, RECORDS_AT)
    missing = set(range(last + 1)) - {record.number for record in found}
    data = os.pread(fd, SEGMENT_BYTES - at, at)
    at = data.find(header.generation)
    while 0 <= at <= len(data) - _RECORD_BYTES:
        number = _RECORD.unpack_from(data, at)[1]
        missing.add(number if last < number < MARKS else last + 1)
        at = data.find(header.generation, at + 1)
    return any(marks.of(number)[0] != GONE for number in missing)


def read_at(fd: int, generation: bytes, start: int, length: int) -> Record:
    """The record at a known place. Raises Damaged where it is not there, OSError."""
    record = parse_record(generation, os.pread(fd, length, start), start, 0)
    if record is None:
        raise Damaged(f"journal record at {start}: not whole")
    return record


def mark_offset(number: int) -> int:
    """Where the mark of a record is."""
    return _HEADER_BYTES + number * _MARK_BYTES


def mark_bytes(generation: bytes, kind: bytes, count: int = 0) -> bytes:
    """A mark as written."""
    return generation[:MARK_PREFIX_BYTES] + kind + bytes((min(count, MAX_STARTED),))


@frozen
class Marks:
    """The marks of a segment, read at once."""

    generation: bytes
    data: bytes

    @classmethod
    def read(cls, fd: int, header: Header) -> Marks:
        """Read them. Raises OSError."""
        return cls(header.generation, os.pread(fd, MARKS * _MARK_BYTES, _HEADER_BYTES))

    def of(self, number: int) -> tuple[bytes, int]:
        """Kind and count of a record's mark; (b"", 0) where it has none."""
        mark = self.data[number * _MARK_BYTES : (number + 1) * _MARK_BYTES]
        own = mark[:MARK_PREFIX_BYTES] == self.generation[:MARK_PREFIX_BYTES] and len(mark) == _MARK_BYTES
        return (mark[6:7], mark[7]) if own else (b"", 0)


def first_generation(fd: int) -> bytes:
    """The generation of the first record, which is the segment's; empty where it is destroyed. Raises OSError."""
    found = os.pread(fd, GENERATION_BYTES, RECORDS_AT)
    # a page that reads as zeros is no generation: a message can have such a "record" in it
    return found if len(set(found)) > 1 else b""


def marked_generations(fd: int) -> tuple[bytes, ...]:
    """All generations that have marks and records: the segment's, and those before it. Raises OSError."""
    marks = os.pread(fd, MARKS * _MARK_BYTES, _HEADER_BYTES)
    prefixes = {
        marks[at : at + MARK_PREFIX_BYTES]
        for at in range(0, len(marks), _MARK_BYTES)
        if marks[at + MARK_PREFIX_BYTES : at + MARK_PREFIX_BYTES + 1] in (GONE, STARTED)
    }
    data = os.pread(fd, SEGMENT_BYTES, RECORDS_AT)
    places = sorted(at for prefix in prefixes if len(set(prefix)) > 1 and (at := data.find(prefix)) >= 0)
    return tuple(data[at : at + GENERATION_BYTES] for at in places)
