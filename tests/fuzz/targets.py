"""What is fuzzed: functions that take any bytes and let nothing through but the declared exceptions.

An exception, or an assertion that does not hold, is a finding.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

from mailward.mime import (
    EditError,
    LimitExceeded,
    Limits,
    Member,
    Message,
    MimeError,
    Part,
    PartKind,
    apply,
    decode_header,
    resolve,
    spliced,
    unpack_binhex,
    unpack_zip,
)
from mailward.mime.headers import read_headers
from mailward.mime.names import member_name, normalise, visible
from mailward.mime.parameters import parse_parameters
from mailward.mime.source import Source
from mailward.values.edit import (
    AddHeader,
    AppendText,
    ChangeHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
)
from mailward.values.finding import Finding

Target = Callable[[bytes], None]
Opened = Iterator[Member | Finding] | None

LIMITS = Limits(max_parts=500, max_part_bytes=1 << 20, max_total_bytes=1 << 22, max_headers=5000, max_time_s=5.0)
UNPACKED_LEVELS = 3
INVISIBLE = "\0\r\n\u200b\u202e\u2066\ufeff"


def look_at(part: Part) -> None:
    """Ask a part everything that can be asked."""
    _ = part.names, part.filename, part.disposition, part.charset, part.detected_type, part.text, repr(part)
    _ = part.span, part.body_span, part.is_rewritable, part.opaque, part.digest("sha256"), part.head(10)
    for name in part.names:
        assert not any(character in name.text for character in INVISIBLE)
    with contextlib.suppress(LimitExceeded):
        content = part.content
        assert part.size == len(content)
        assert b"".join(part.stream(7)) == content
        assert part.head(100) == content[:100]
        assert part.open().read() == content


def tiles(message: Message) -> None:
    """The stretches cover the message, in order."""
    at = 0
    for start, end, _ in message.spans():
        assert start == at < end
        at = end
    assert at == message.size


def tree(data: bytes) -> None:
    """Any bytes are a message, whose parts can be read."""
    with Message.from_bytes(data, LIMITS) as message:
        tiles(message)
        assert apply(message.raw, resolve(message, [])) == data
        for part in message.walk():
            assert message.part(part.path) is part
            if part.is_leaf:
                look_at(part)
        _ = message.defects, message.subject


def headers(data: bytes) -> None:
    """Any bytes are a header block."""
    found, body = read_headers(Source(data, 0, len(data), outer=True), 0, len(data), 1 << 20, 1000)
    assert 0 <= body <= len(data)
    spans = [field.span for field in found.fields]
    assert all(span is not None and span[0] < span[1] <= body for span in spans)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    for field in found:
        assert not set(field.value) & set("\r\n\0")
        assert field.raw in found.raws(field.name)
        assert field.name in found
    decode_header(data)


def names(data: bytes) -> None:
    """Any bytes are parameters, and what they say can be a name."""
    parameters = parse_parameters(data)
    for key in ("name", "filename", "boundary", "charset"):
        for reading in parameters.readings(key):
            text = normalise(reading.text)
            assert normalise(text) == text, text
            assert not set(text) & set(INVISIBLE)
            assert "/" not in visible(reading.text)
            member_name(reading.text, "fuzz")
    look_at(Message.from_bytes(b"Content-Disposition: a; filename=" + data).root)


def edits(data: bytes) -> None:
    """Edits, said by the first bytes, of the message that follows them."""
    choices, raw = data[:8], data[8:]
    with Message.from_bytes(raw, LIMITS) as message:
        parts = list(message.walk())
        wanted = [edit for number in choices if (edit := _edit(number, parts)) is not None]
        try:
            splices = resolve(message, wanted)
        except EditError:
            return
        assert all(one.end <= other.start for one, other in itertools.pairwise(splices)), splices
        assert all(0 <= one.start <= one.end <= len(raw) for one in splices)
        after = apply(raw, splices)
        assert after == b"".join(spliced((raw[at : at + 3] for at in range(0, len(raw), 3)), splices))
        tree(after)


def _edit(number: int, parts: list[Part]) -> Edit | None:
    kind, path = number % 9, parts[number // 9 % len(parts)].path
    return (
        None,
        DeletePart(path),
        ReplacePart(path, "gone – begin 644 x\n--b\n", "n.txt" if number & 128 else ""),
        ReplaceContent(path, b"new\r\n--b\r\n\0"),
        AddHeader("X-Test", "ä\r\nBcc: x"),
        RemoveHeader("Content-Type" if number & 128 else "subject"),
        PrefixSubject("[ä]"),
        ChangeHeader("Subject", "=?utf-8?q?x?= ä"),
        AppendText("seen – by us", "<p>seen – by us</p>" if number & 128 else ""),
    )[kind]


def member_target(reader: Callable[[Part], Opened]) -> Target:
    """A target that takes its bytes for a container, and what is in it for containers too."""

    def target(data: bytes) -> None:
        raw = b"Content-Type: application/x; name=a\nContent-Transfer-Encoding: binary\n\n" + data
        with Message.from_bytes(raw, LIMITS) as message:
            for part in message.walk():
                look_at(part)
                if part.opaque or not part.is_leaf or part.depth > UNPACKED_LEVELS:
                    continue
                opened = reader(part)
                if opened is not None:
                    message.add_members(part, opened)

    return target


def zips(data: bytes) -> None:
    """A zip archive: read, and a member taken out of it."""
    unpack(data)
    with Message.from_bytes(b"Content-Transfer-Encoding: binary\n\n" + data, LIMITS) as message:
        members = unpack_zip(message.root)
        if members is None:
            return
        message.add_members(message.root, members)
        inner = [part for part in message.root.children if part.kind is PartKind.MEMBER]
        for part in inner[:2]:
            with contextlib.suppress(MimeError):
                apply(message.raw, resolve(message, [DeletePart(part.path)]))


def binhex(data: bytes) -> None:
    """A text with BinHex files: read, and each taken out of it."""
    raw = b"Content-Transfer-Encoding: binary\n\n" + data
    with Message.from_bytes(raw, LIMITS) as message:
        members = unpack_binhex(message.root)
        if members is None:
            return
        message.add_members(message.root, members)
        for part in message.root.children[:3]:
            if part.kind is PartKind.MEMBER:
                look_at(part)
                tree(apply(raw, resolve(message, [DeletePart(part.path)])))


unpack = member_target(unpack_zip)
CORE: dict[str, Target] = {
    "tree": tree,
    "headers": headers,
    "names": names,
    "edits": edits,
    "zip": zips,
    "binhex": binhex,
}
