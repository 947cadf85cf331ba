"""Answers that are kept: one file of fixed size, shared by all scan processes, without locks (KAV-ICH-02).

The key is a digest of content, engine, definitions and options, never a name, so a change of any of them
misses what was kept before and lets it age out. Errors and time-outs are not kept. A record carries a
checksum: one that two processes wrote at once, or that the disk damaged, is no answer. A file that is not
of this form is made anew.

    header, 4,096 bytes: magic, number of records, counts in 64 rows (a process uses the row of its number)
    records of 128 bytes, four to a bucket: key 32, checksum 4, status 1, lengths 2, name and detail 89
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from pathlib import Path

from attrs import define, frozen

from mailward_antivirus.report import Report, ScanStatus

RECORD_BYTES = 128
MIN_BYTES = 64 * 1024
_HEADER_BYTES = 4096
_MAGIC = b"mailward-scan-2\n"
_WAYS = 4
_BUCKET_BYTES = RECORD_BYTES * _WAYS
_KEY_BYTES = 32
_HEAD = struct.Struct("<32sIBBB")
_TEXT_BYTES = RECORD_BYTES - _HEAD.size
_ROWS_AT = 1024
_ROWS = 64
_ROW = struct.Struct("<QQQ")

_KEPT = (ScanStatus.CLEAR, ScanStatus.INFECTED, ScanStatus.SUSPICIOUS, ScanStatus.PROTECTED)
_CODES = {status: code for code, status in enumerate(_KEPT, 1)}
_STATUSES = {code: status for status, code in _CODES.items()}


@frozen
class Figures:
    """How the cache did since its file was made, in all processes."""

    hits: int = 0
    misses: int = 0
    stored: int = 0


@define(eq=False)
class ScanCache:
    """The answers in one file. Make it with `ScanCache.open`."""

    _map: mmap.mmap
    _buckets: int

    @classmethod
    def open(cls, path: Path, max_bytes: int) -> ScanCache:
        """The cache in the file ``path``, made anew where it is missing, damaged or of another size. Raises OSError."""
        size = _HEADER_BYTES + max(MIN_BYTES, max_bytes) // _BUCKET_BYTES * _BUCKET_BYTES
        if not _is_whole(path, size):
            _make(path, size)
        with path.open("r+b") as file:
            mapped = mmap.mmap(file.fileno(), size)
        return cls(mapped, (size - _HEADER_BYTES) // _BUCKET_BYTES)

    def key(self, content_sha256: str, engine: str, version: str) -> bytes:
        """The key of one answer: ``content_sha256`` in hex, the engine's name, and its definitions and options."""
        return hashlib.blake2b(f"{content_sha256}\0{engine}\0{version}".encode(), digest_size=_KEY_BYTES).digest()

    def get(self, key: bytes) -> Report | None:
        """The answer that was kept under ``key``, or None."""
        at = self._bucket(key)
        bucket = self._map[at : at + _BUCKET_BYTES]
        for start in range(0, _BUCKET_BYTES, RECORD_BYTES):
            if bucket.startswith(key, start):
                report = _read(bucket[start : start + RECORD_BYTES])
                if report is not None:
                    self._count(hits=1)
                    return report
        self._count(misses=1)
        return None

    def put(self, key: bytes, report: Report) -> None:
        """Keep ``report``, unless it is of those that are not kept."""
        record = _written(key, report)
        if record is None:
            return
        at = self._bucket(key)
        bucket = self._map[at : at + _BUCKET_BYTES]
        free = next((way for way in range(_WAYS) if not bucket[way * RECORD_BYTES + _KEY_BYTES + 4]), None)
        way = key[8] % _WAYS if free is None else free
        at += way * RECORD_BYTES
        self._map[at : at + RECORD_BYTES] = record
        self._count(stored=1)

    def figures(self) -> Figures:
        """The counts of all processes together."""
        rows = self._map[_ROWS_AT : _ROWS_AT + _ROWS * _ROW.size]
        hits, misses, stored = (sum(column) for column in zip(*_ROW.iter_unpack(rows), strict=True))
        return Figures(hits, misses, stored)

    def _bucket(self, key: bytes) -> int:
        return _HEADER_BYTES + int.from_bytes(key[:8], "little") % self._buckets * _BUCKET_BYTES

    def _count(self, hits: int = 0, misses: int = 0, stored: int = 0) -> None:
        at = _ROWS_AT + os.getpid() % _ROWS * _ROW.size
        before = _ROW.unpack_from(self._map, at)
        _ROW.pack_into(self._map, at, before[0] + hits, before[1] + misses, before[2] + stored)


def _is_whole(path: Path, size: int) -> bool:
    """Whether the file is a cache of this size."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == size and file.read(len(_MAGIC) + 8) == _beginning(size)
    except OSError:
        return False


def _beginning(size: int) -> bytes:
    return _MAGIC + size.to_bytes(8, "little")


def _make(path: Path, size: int) -> None:
    """Put an empty cache in the place of ``path``; processes that have the old one mapped keep it."""
    handle, name = tempfile.mkstemp(prefix=".scan-cache-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(_beginning(size))
            file.flush()
            # all of it now: a page that a full disk does not give ends the process that writes to it
            os.posix_fallocate(file.fileno(), 0, size)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _written(key: bytes, report: Report) -> bytes | None:
    """The record of a report, or None where it is not one to keep whole."""
    code = _CODES.get(report.status)
    name, detail = report.name.encode(), report.detail.encode()
    if code is None or report.repaired is not None or report.traits or report.score:
        return None
    if len(name) + len(detail) > _TEXT_BYTES:
        return None
    rest = bytes((code, len(name), len(detail))) + (name + detail).ljust(_TEXT_BYTES, b"\0")
    return key + zlib.crc32(key + rest).to_bytes(4, "little") + rest


def _read(record: bytes) -> Report | None:
    """The report in a record, or None where the record is damaged."""
    key, checksum, code, name_bytes, detail_bytes = _HEAD.unpack_from(record)
    status = _STATUSES.get(code)
    if status is None or zlib.crc32(key + record[_KEY_BYTES + 4 :]) != checksum:
        return None
    text = record[_HEAD.size :]
    try:
        name = text[:name_bytes].decode()
        return Report(status, name, text[name_bytes : name_bytes + detail_bytes].decode())
    except UnicodeDecodeError:
        return None
