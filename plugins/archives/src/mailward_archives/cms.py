"""Signed and compressed mail in one piece (RFC 5652, RFC 8551 section 3.5, RFC 3274): what the signature is around.

The content stands in an octet string of a BER structure, in one piece or in many, of known length or up
to an end mark. The signature itself is not looked at.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator

from mailward import Finding, Member, Part
from mailward_archives.blobs import decoded
from mailward_archives.buffer import Data, data_of, pieces
from mailward_archives.content import Content, unopened
from mailward_archives.inflate import inflated_from

_SEQUENCE, _OCTETS, _MANY_OCTETS, _EXPLICIT = 0x30, 0x04, 0x24, 0xA0
_SIGNED = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_DEEPEST = 64
_WORTH_BYTES = 64 * 1024
_FIELD = re.compile(rb"[!-9;-~]{1,76}:")
_ARMOR = re.compile(rb"\s*+(?:-----BEGIN [A-Z0-9 ]{1,40}-----\s*+)?([A-Za-z0-9+/\s]{8,}+=*+)")
_SUFFIXES = (".p7m", ".p7c", ".p7s", ".p7z")


class CmsError(ValueError):
    """The structure is not what it should be."""


def read_cms(part: Part) -> Iterator[Member | Finding]:
    """The content: a mail, or the file that was signed."""
    with data_of(part) as data:
        try:
            is_signed, at, end = _content_at(data)
        except CmsError as error:
            yield unopened(part, f"cms: {error}")
            return
        if at == end:
            # A detached signature: what was signed stands elsewhere.
            return
        chunks = _joined(itertools.chain.from_iterable(pieces(data, *span) for span in octets(data, at, end)))
        content = Content(chunks if is_signed else inflated_from(chunks, zlib.MAX_WBITS), (CmsError, zlib.error))
        first = iter(content)
        head = next(first, b"")
        yield Member(_name(part, head), itertools.chain((head,), first), raw_bytes=part.size)
        if content.error:
            yield unopened(part, f"cms: {content.error}")


def read_declared(part: Part) -> Iterator[Member | Finding] | None:
    """What is said to be such a mail and does not show it: in base64 a second time, or in no form that is known."""
    if part.detected_type or not _is_declared(part):
        return None
    with data_of(part) as data:
        armored = _ARMOR.match(data)
        content = decoded(armored[1]) if armored is not None else b""
    if content[:1] == b"\x30":
        return iter((Member(part.filename or "smime.p7m", (content,)),))
    if any(finding.rule == "encrypted" for finding in part.findings):
        return None
    return iter((unopened(part, "cms: not in a form that is known"),))


def _is_declared(part: Part) -> bool:
    declared = part.declared_type in ("application/pkcs7-mime", "application/x-pkcs7-mime")
    return declared or part.is_named((".p7m", ".p7z"))


def _joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth it: a sender may have cut them into single ones."""
    held, size = list[bytes](), 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _WORTH_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _name(part: Part, head: bytes) -> str:
    """``contract.pdf`` of ``contract.pdf.p7m``; a mail, which has no name, is one by its first line."""
    name = part.filename
    stem = name[:-4] if name.lower().endswith(_SUFFIXES) else name
    if _FIELD.match(head) and "." not in stem:
        return f"{stem or 'smime'}.eml"
    return stem or "content"


def _element(data: Data, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at ``at``; the end is -1 where a mark says it."""
    head = data[at : min(at + 2 + 0x7F, end)]
    if len(head) < 2 or head[0] & 0x1F == 0x1F:
        raise CmsError("an element that is cut off or of an unknown kind")
    length, start = head[1], at + 2
    if length == 0x80:
        return head[0], start, -1
    if length & 0x80:
        count = length & 0x7F
        if len(head) < 2 + count or any(head[2 : 2 + max(count - 8, 0)]):
            raise CmsError("an element that is too long")
        length, start = int.from_bytes(head[2 : 2 + count], "big"), start + count
    return head[0], start, start + length


def _past(data: Data, at: int, end: int) -> int:
    """Where the element at ``at`` ends, end marks and all."""
    depth = 0
    while True:
        tag, start, stop = _element(data, at, end)
        if stop < 0:
            depth += 1
        elif not tag and stop == start:
            depth -= 1
        at = start if stop < 0 else stop
        if at > end:
            raise CmsError("an element that is cut off")
        if depth <= 0:
            return at


def _inside(data: Data, at: int, end: int, wanted: int) -> tuple[int, int]:
    """Start and end of what is in the element at ``at``, which is to be a ``wanted`` one."""
    tag, start, stop = _element(data, at, end)
    if tag != wanted:
        raise CmsError(f"an element of kind {tag:#04x} instead of {wanted:#04x}")
    return start, end if stop < 0 else min(stop, end)


def _content_at(data: Data) -> tuple[bool, int, int]:
    """Whether the content is signed rather than compressed, where its octet string stands, the end of what is around.

    Both places are the same where there is no content.
    """
    at, end = _inside(data, 0, len(data), _SEQUENCE)
    _, start, stop = _element(data, at, end)
    is_signed = data[start:stop] == _SIGNED
    at, end = _inside(data, stop, end, _EXPLICIT)
    at, end = _inside(data, at, end, _SEQUENCE)
    for _ in range(2):
        # version; algorithms
        at = _past(data, at, end)
    at, end = _inside(data, at, end, _SEQUENCE)
    at = _past(data, at, end)
    if at == end or data[at : at + 2] == b"\0\0":
        return is_signed, end, end
    at, end = _inside(data, at, end, _EXPLICIT)
    return is_signed, at, end


def octets(data: Data, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of each piece of the octet string at ``at``; raises CmsError where it is damaged."""
    ends = list[int]()
    while True:
        tag, start, stop = _element(data, at, end)
        if not tag and stop == start and ends and ends[-1] < 0:
            ends.pop()
            at = start
        elif tag == _MANY_OCTETS:
            ends.append(stop)
            at = start
            if len(ends) > _DEEPEST:
                raise CmsError("octet strings too deep inside one another")
        elif tag == _OCTETS and stop >= 0:
            yield start, min(stop, end)
            if stop > end:
                raise CmsError("the content ends too soon")
            at = stop
        else:
            raise CmsError(f"an element of kind {tag:#04x} in an octet string")
        while ends and 0 <= ends[-1] <= at:
            ends.pop()
        if not ends:
            return
