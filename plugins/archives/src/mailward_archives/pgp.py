"""OpenPGP files (RFC 9580): what is signed or compressed, and not encrypted, opens without a key.

A message is a row of packets. A literal packet holds the file, a compressed one holds further packets;
signatures around them are not looked at. Packets with session keys say that the message is encrypted.
"""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterable, Iterator

from mailward import Finding, Member, Part
from mailward_archives.blobs import decoded
from mailward_archives.buffer import data_of
from mailward_archives.content import Content, encrypted, limit, unopened
from mailward_archives.inflate import inflated_from

TYPE = "application/pgp"
_NAMES = (".pgp", ".gpg", ".asc")
_ARMOR = re.compile(
    rb"-----BEGIN PGP (?:MESSAGE|ARMORED FILE)[^\r\n]{0,80}-----[ \t]*\r?\n(?:[^\r\n]{1,998}\r?\n){0,50}?[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]*+)"
)
_CHECKSUM = re.compile(rb"\n=[A-Za-z0-9+/]{4}\s*+\Z")
_MOST_BYTES = 64 * 1024 * 1024
_MOST_PACKETS = 1000
_COMPRESSED, _LITERAL = 8, 11
_ENCRYPTED = frozenset((1, 3, 9, 18, 20))
_PASSED_OVER = frozenset((2, 4, 5, 6, 7, 10, 12, 13, 14, 17, 19, 21))


class PgpError(ValueError):
    """The packets are not what they should be."""


def is_pgp(part: Part) -> bool:
    """Whether a part claims to be an OpenPGP file, by its first line, declared type or name."""
    if part.parent is not None and part.parent.declared_type == "multipart/encrypted":
        # Which is a finding already.
        return False
    if TYPE in (part.detected_type, part.declared_type):
        return True
    return not part.detected_type and part.is_named(_NAMES)


def read_pgp(part: Part) -> Iterator[Member | Finding] | None:
    """The file in a message that is not encrypted; None where there is no message: keys, detached signatures, texts."""
    if part.size > _MOST_BYTES:
        return iter((limit(part, "max_message", f"pgp: larger than {_MOST_BYTES} bytes"),))
    data = _message(part)
    return _members(part, data) if data else None


def _message(part: Part) -> bytes:
    """The packets without their armor; empty where there are none."""
    with data_of(part) as data:
        if match := _ARMOR.search(data):
            return decoded(_CHECKSUM.sub(b"", match[1]))
        head = data[:1]
        return data[:] if head and head[0] & 0x80 else b""


def _members(part: Part, data: bytes) -> Iterator[Member | Finding]:
    try:
        for tag, body in packets(data):
            if tag in _ENCRYPTED:
                if not any(finding.rule == "encrypted" for finding in part.findings):
                    yield encrypted(part, "an OpenPGP message")
                return
            if tag == _LITERAL:
                yield _literal(body)
            elif tag == _COMPRESSED:
                content = Content(_unpacked(body), (zlib.error, OSError, EOFError, ValueError))
                yield Member("message.pgp", content, raw_bytes=len(body))
                if content.error:
                    yield unopened(part, f"pgp: {content.error}")
            elif tag not in _PASSED_OVER:
                raise PgpError(f"a packet of kind {tag}")
    except PgpError as error:
        yield unopened(part, f"pgp: {error}")


def _literal(body: bytes) -> Member:
    size = body[1] if len(body) > 1 else 0
    return Member(body[2 : 2 + size].decode("utf-8", "replace") or "content", (body[6 + size :],))


def _unpacked(body: bytes) -> Iterable[bytes]:
    method, packed = body[:1], body[1:]
    if method in (b"\1", b"\2"):
        return inflated_from(iter((packed,)), -zlib.MAX_WBITS if method == b"\1" else zlib.MAX_WBITS)
    if method == b"\3":
        return _bunzipped(packed)
    return (packed,) if method == b"\0" else _unknown(method)


def _bunzipped(packed: bytes) -> Iterator[bytes]:
    unpacker = bz2.BZ2Decompressor()
    while not unpacker.eof:
        yield unpacker.decompress(packed, 256 * 1024)
        if unpacker.needs_input:
            raise EOFError("the compressed data ends too early")
        packed = b""


def _unknown(method: bytes) -> Iterator[bytes]:
    raise ValueError(f"compression {method.hex() or 'missing'} is not known")
    yield b""


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each packet (RFC 9580 section 4.2). Raises PgpError where it does not fit."""
    at = 0
    for _ in range(_MOST_PACKETS):
        if at >= len(data):
            return
        first = data[at]
        if not first & 0x80:
            raise PgpError("not a row of packets")
        if first & 0x40:
            body, at = _parts(data, at + 1)
            yield first & 0x3F, body
            continue
        width = (1, 2, 4, 0)[first & 3]
        start = at + 1 + width
        at = start + int.from_bytes(data[at + 1 : start], "big") if width else len(data)
        yield first >> 2 & 0x0F, data[start:at]
    raise PgpError("too many packets")


def _parts(data: bytes, at: int) -> tuple[bytes, int]:
    """The body behind a length of the newer form, which may come in parts, and where it ends."""
    pieces = list[bytes]()
    while at < len(data):
        first = data[at]
        if first < 192:
            size, start = first, at + 1
        elif first < 224:
            size, start = (first - 192 << 8) + int.from_bytes(data[at + 1 : at + 2], "big") + 192, at + 2
        elif first == 255:
            size, start = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
        else:
            size, start = 1 << (first & 0x1F), at + 1
        at = start + size
        pieces.append(data[start:at])
        if not 224 <= first < 255:
            return b"".join(pieces), at
    raise PgpError("a packet that is cut off")
