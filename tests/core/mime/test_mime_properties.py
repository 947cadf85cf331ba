"""Properties that hold for every message: nothing raises, spans tile, edits touch only their bytes."""

import base64
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import EditError, Message, PartKind, apply, decode_header, resolve, spliced
from mailward.values.edit import (
    AddHeader,
    AppendText,
    ChangeHeader,
    DeletePart,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
)

WORDS = st.text("abc ,.", min_size=0, max_size=20)
LINES = st.lists(WORDS, max_size=4)
FRAGMENTS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"--b",
            b"--b--",
            b"--c",
            b" ",
            b"\t",
            b"=",
            b"=\r\n",
            b"\0",
            b"\xe9",
            b"a",
            b":",
            b";",
        ),
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=c\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n",
        b'Content-Disposition: attachment; filename="a b.exe"\r\n',
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\r\n--b\r\n",
        b"\n--b\n",
        b"\r\n--c\r\n",
        b"\r\n--b--\r\n",
        b"begin 644 x.txt\n",
        b"begin 644 y\r\n",
        b"#0V%T\n",
        b"`\nend\n",
        b"TWFu",
        b"QUJD\r\n",
    ]
)
SOUP = st.lists(FRAGMENTS, max_size=40).map(b"".join)


@st.composite
def leaf(draw, end):
    lines = draw(LINES)
    fields = draw(
        st.lists(
            st.sampled_from([b"X-One: 1", b"Content-ID: <a@b>", b"Content-Disposition: inline; filename=a.txt"]),
            unique=True,
        )
    )
    text = end.join(line.encode() for line in lines)
    encoding = draw(st.sampled_from(["", "7bit", "base64", "quoted-printable"]))
    if encoding == "base64":
        text = base64.b64encode(text)
    if encoding:
        fields.append(b"Content-Transfer-Encoding: " + encoding.encode())
    fields.append(draw(st.sampled_from([b"Content-Type: text/plain", b"Content-Type: application/pdf; name=x.pdf"])))
    return end.join([*fields, b"", text])


@st.composite
def entity(draw, end, numbers, depth):
    kind = draw(st.sampled_from(["leaf", "multipart", "message"])) if depth else "leaf"
    if kind == "leaf":
        return draw(leaf(end))
    if kind == "message":
        return end.join(
            [b"Content-Type: message/rfc822", b"", b"From: a@b" + end + draw(entity(end, numbers, depth - 1))]
        )
    boundary = b"=_limit%d_" % next(numbers)
    parts = draw(st.lists(entity(end, numbers, depth - 1), min_size=1, max_size=3))
    out = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"' + end + end
    out += draw(st.sampled_from([b"", b"preamble" + end]))
    for part in parts:
        out += b"--" + boundary + end + part + end
    closing = b"--" + boundary + b"--" + draw(st.sampled_from([b"", end, end + b"epilogue" + end]))
    return out + draw(st.sampled_from([closing, closing, b""]))


@st.composite
def mail(draw):
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    head = draw(
        st.lists(
            st.sampled_from([b"Subject: hi", b"MIME-Version: 1.0", b"From: x@y", b"To: z" + end + b" w"]), unique=True
        )
    )
    body = draw(entity(end, itertools.count(), 3))
    return b"".join(line + end for line in head) + body


def assert_tiles(message: Message) -> None:
    at = 0
    for start, end, _ in message.spans():
        assert start == at < end
        at = end
    assert at == message.size


def read_everything(message: Message) -> None:
    paths = set()
    for part in message.walk():
        assert part.path not in paths
        paths.add(part.path)
        assert message.part(part.path) is part
        assert part.content == b"".join(part.stream(7))
        assert part.size == len(part.content)
        assert part.head(5) == part.content[:5]
        assert part.open().read() == part.content
        assert isinstance(part.text, str)
        assert len(part.digest("sha256")) == 64
        _ = (part.names, part.filename, part.charset, part.detected_type, part.disposition, repr(part))
        assert [header.value for header in part.headers] == [
            value for header in part.headers for value in [decode_header(header.raw)]
        ]
    assert all(finding.plugin == "core" for finding in message.defects)
    keys = [(finding.rule, finding.part, finding.name) for finding in message.defects]
    assert len(keys) == len(set(keys))


@given(st.binary(max_size=400) | SOUP)
@settings(max_examples=250, deadline=None)
def test_arbitrary_bytes_never_raise_and_spans_tile(raw):
    with Message.from_bytes(raw) as message:
        assert_tiles(message)
        read_everything(message)
        assert apply(message.raw, resolve(message, [])) == raw


TEXTS = st.sampled_from(["end", "-- \ncaf\u00e9", "--b\n--c--\nbegin 644 x", "\u65e5" * 400, "x" * 1200])


def any_edit(paths):
    path = st.sampled_from(paths)
    return st.one_of(
        st.builds(DeletePart, path),
        st.builds(
            ReplacePart,
            path,
            st.sampled_from(["removed", "caf\u00e9\n--b\n--=_limit0_", "begin 644 a\n" + "x" * 200]),
            st.sampled_from(["", "DELETED0.TXT", "\u00fc.txt"]),
        ),
        st.builds(ReplaceContent, path, st.binary(max_size=200)),
        st.builds(AddHeader, st.just("X-Scanned"), st.text(max_size=100)),
        st.builds(RemoveHeader, st.sampled_from(["Subject", "X-One", "from", "To"])),
        st.builds(PrefixSubject, st.sampled_from(["[SPAM]", "\u00e4\u00f6"])),
        st.builds(AppendText, TEXTS, st.sampled_from(["", "<hr>caf\u00e9"])),
        st.builds(ChangeHeader, st.sampled_from(["Subject", "X-One", "from", "Z"]), st.text(max_size=60)),
    )


@given(st.data(), st.binary(max_size=400) | SOUP)
@settings(max_examples=300, deadline=None)
def test_edits_of_arbitrary_bytes_never_overlap(data, raw):
    message = Message.from_bytes(raw)
    paths = [part.path for part in message.walk()]
    edits = data.draw(st.lists(any_edit(paths), max_size=4))
    try:
        splices = resolve(message, edits)
    except EditError:
        return
    at = 0
    for splice in splices:
        assert at <= splice.start <= splice.end <= message.size
        at = splice.end
    changed = apply(raw, splices)
    assert b"".join(spliced((raw[n : n + 3] for n in range(0, len(raw), 3)), splices, 2)) == changed
    again = Message.from_bytes(changed)
    assert_tiles(again)
    read_everything(again)


def defects_of(message: Message) -> set:
    for part in message.walk():
        _ = part.content, part.text
    return {(finding.kind, finding.rule) for finding in message.defects}


@given(st.data(), mail())
@settings(max_examples=300, deadline=None)
def test_edits_of_sound_messages_leave_no_new_defects(data, raw):
    message = Message.from_bytes(raw)
    before = defects_of(message)
    parts = list(message.walk())
    edits = data.draw(st.lists(any_edit([part.path for part in parts]), min_size=1, max_size=4))
    try:
        changed = apply(raw, resolve(message, edits))
    except EditError:
        return
    again = Message.from_bytes(changed)
    assert defects_of(again) <= before
    assert_tiles(again)


@given(st.data(), mail())
@settings(max_examples=200, deadline=None)
def test_deleting_one_part_leaves_the_others(data, raw):
    message = Message.from_bytes(raw)
    candidates = [part for part in message.walk() if part.is_leaf]
    victim = data.draw(st.sampled_from(candidates))
    rest = [part.content for part in candidates if part is not victim]
    (span_start, span_end) = victim.span
    splices = resolve(message, [DeletePart(victim.path)])
    if victim.delimiter is not None:
        assert len(splices) == 1
        assert splices[0].start in (victim.delimiter[0], span_start)
        assert span_end <= splices[0].end <= span_end + 2
    again = Message.from_bytes(apply(raw, splices))
    left = [part.content for part in again.walk() if part.is_leaf]
    assert [content for content in left if content] == [content for content in rest if content]


@given(st.data(), mail(), st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_new_content_of_one_part_leaves_the_others(data, raw, content):
    message = Message.from_bytes(raw)
    candidates = [part for part in message.walk() if part.kind is PartKind.LEAF]
    victim = data.draw(st.sampled_from(candidates))
    expected = [content if part is victim else part.content for part in candidates]
    again = Message.from_bytes(apply(raw, resolve(message, [ReplaceContent(victim.path, content)])))
    assert again.part(victim.path).content == content
    assert [part.content for part in again.walk() if part.kind is PartKind.LEAF] == expected


@given(mail(), st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_an_added_header_cannot_leave_its_line(raw, value):
    message = Message.from_bytes(raw)
    changed = apply(raw, resolve(message, [AddHeader("X-Test", value)]))
    assert changed.endswith(raw)
    again = Message.from_bytes(changed)
    assert len(again.headers) == len(message.headers) + 1
    assert again.headers.fields[0].name == "X-Test"


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_a_header_value_survives_encoding(value):
    message = Message.from_bytes(b"A: b\r\n\r\n")
    changed = apply(message.raw, resolve(message, [AddHeader("X-Test", value)]))
    clean = " ".join(
        value.encode("utf-8", "replace")
        .decode()
        .replace("\r\n", " ")
        .replace("\0", " ")
        .replace("\r", " ")
        .replace("\n", " ")
        .split(" ")
    )
    assert Message.from_bytes(changed).headers.get("x-test").split() == clean.split()
    assert all(len(line) <= 998 for line in changed.split(b"\r\n"))


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_decode_header_never_raises(raw):
    assert not set(decode_header(raw)) & {"\r", "\n", "\0"}
