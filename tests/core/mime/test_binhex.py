"""BinHex (RFC 1741): files within texts are parts, and are written again when one of them goes."""

import base64
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.mime import Limits, Message, apply, resolve, unpack_binhex
from mailward.mime.binhextext import MARK, Forks, Head, binhex, binhex_blocks, unrepeated
from mailward.mime.source import Source
from mailward.values.edit import DeletePart, ReplaceContent, ReplacePart

FOREIGN = Path("/usr/share/clamav-testfiles/clam.exe.binhex")
NOISE = random.Random(1).randbytes(100_000)


def made(name: bytes, data: bytes, resource: bytes = b"", line_end: bytes = b"\r\n") -> bytes:
    head = Head(name, b"APPL", b"MWRD", 0x2000, len(data), len(resource))
    return b"".join(binhex(head, [data], [resource], line_end))


def mail(body: bytes, head: bytes = b"Content-Type: text/plain\r\n") -> bytes:
    return b"Subject: hello\r\nMIME-Version: 1.0\r\n" + head + b"\r\n" + body


def opened(raw: bytes, **limits: int):
    message = Message.from_bytes(raw, Limits(**limits))
    found = []
    for part in message.walk():
        if not part.children and (members := unpack_binhex(part)) is not None:
            found += message.add_members(part, members)
    return message, found


def members(raw: bytes) -> dict[str, bytes]:
    message, found = opened(raw)
    assert found == []
    return {part.path: part.content for part in message.walk() if part.kind == "member"}


def edited(raw: bytes, *edits) -> bytes:
    return apply(raw, resolve(opened(raw)[0], edits))


BODY = (
    b"Good day,\r\n\r\n" + made(b"a.app", b"MZ one", b"fork\x90") + b"\r\nand\r\n" + made(b"b", b"two") + b"\r\nbye\r\n"
)


def test_every_fork_of_every_file_in_a_text_is_a_part():
    assert members(mail(BODY)) == {"1/a.app": b"MZ one", "1/a.app%2Frsrc": b"fork\x90", "1/b": b"two"}


def test_a_file_of_another_program_is_read(require):
    if not FOREIGN.exists():
        require("clamav-testfiles")
    content, _ = members(mail(FOREIGN.read_bytes())).values()
    assert content.startswith(b"MZ")
    assert len(content) == 544


def test_a_file_of_another_program_stays_the_same_when_written_again(require):
    if not FOREIGN.exists():
        require("clamav-testfiles")
    text = FOREIGN.read_bytes()
    source = Source(text, 0, len(text))
    (block,) = binhex_blocks(source, 0, len(text))
    forks = Forks.of(source, block)
    head = forks.head()
    data = b"".join(forks.fork(head.data_bytes))
    forks.skip_crc()
    resource = b"".join(forks.fork(head.resource_bytes))
    again = b"".join(binhex(head, [data], [resource], b"\n"))
    assert _raw(again) == _raw(text)


def _raw(text: bytes) -> bytes:
    source = Source(text, 0, len(text))
    (block,) = binhex_blocks(source, 0, len(text))
    return b"".join(Forks.of(source, block)._chunks)


def test_a_deleted_file_gives_way_to_a_text_and_every_other_byte_stays():
    raw = mail(BODY)
    new = edited(raw, DeletePart("1/a.app"))
    after = members(new)
    assert after == {
        "1/DELETED0.TXT": b"The file 'a.app' was taken out.\r\n",
        "1/DELETED0.TXT%2Frsrc": b"fork\x90",
        "1/b": b"two",
    }
    start = raw.index(MARK)
    end = raw.index(b"\r\nand\r\n")
    assert new[:start] == raw[:start]
    assert new.endswith(raw[end:])
    assert Message.from_bytes(new).defects == []


def test_new_content_keeps_name_and_type():
    new = edited(mail(BODY), ReplaceContent("1/b", NOISE), ReplaceContent("1/a.app%2Frsrc", b""))
    assert members(new) == {"1/a.app": b"MZ one", "1/b": NOISE}
    source = Source(new, 0, len(new))
    heads = [Forks.of(source, block).head() for block in binhex_blocks(source, 0, len(new))]
    assert [(head.name, head.kind, head.creator, head.flags) for head in heads] == [
        (b"a.app", b"APPL", b"MWRD", 0x2000),
        (b"b", b"APPL", b"MWRD", 0x2000),
    ]
    assert max(map(len, new.split(b"\r\n"))) <= 78


def test_files_in_encoded_attachments_are_written_again():
    head = b"Content-Type: application/mac-binhex40; name=x.hqx\r\nContent-Transfer-Encoding: base64\r\n"
    new = edited(mail(base64.encodebytes(BODY).replace(b"\n", b"\r\n"), head), ReplacePart("1/b", "gone", "x.txt"))
    assert members(new) == {"1/a.app": b"MZ one", "1/a.app%2Frsrc": b"fork\x90", "1/DELETED0.TXT": b"gone\r\n"}


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b":\r\nbye", b"\r\nbye"),
        BODY.replace(b":\r\nbye", b"\xff:\r\nbye"),
        BODY.replace(made(b"b", b"two"), made(b"b", b"two" * 50)[:100] + b":"),
    ],
    ids=["unclosed", "junk", "cut off"],
)
def test_a_text_with_a_damaged_file_goes_as_a_whole(body):
    message, _ = opened(mail(body))
    assert not message.part("1/a.app").is_rewritable
    new = apply(message.raw, resolve(message, [DeletePart("1/a.app")]))
    assert MARK not in new


def test_a_file_that_ends_too_soon_is_reported_and_its_start_kept():
    text = made(b"a.bin", NOISE)
    message, found = opened(mail(text[: len(text) // 2]))
    assert [(finding.kind.value, finding.rule, finding.part) for finding in found] == [
        ("unchecked", "unopened", "1/a.bin")
    ]
    assert NOISE.startswith(message.part("1/a.bin").content)
    assert len(message.part("1/a.bin").content) > 40_000
    _, found = opened(mail(text[:60] + b":"))
    assert [finding.rule for finding in found] == ["unopened"]


def test_runs_meet_the_limits():
    head = Head(b"bomb", data_bytes=100_000_000).packed()
    raw = head + b"a" + b"\x90\xff" * 400_000
    lines = base64.b64encode(raw).translate(bytes.maketrans(*_alphabets()))
    message, found = opened(mail(MARK + b" 4.0)\n\n:" + lines + b":\n"), max_part_bytes=1_000_000)
    assert {finding.name for finding in found} == {"max_part_bytes"}
    assert message.part("1/bomb").opaque


def _alphabets():
    from mailward.mime.binhextext import _ALPHABET, _BASE64

    return _BASE64, _ALPHABET


def test_the_words_alone_are_no_file():
    assert members(mail(MARK + b" 4.0)\r\n\r\nas I said\r\n")) == {}


def test_repetitions_are_written_out_across_pieces():
    packed = b"a\x90\x05b\x90\x00\x90\x03c"
    assert b"".join(unrepeated([packed])) == b"aaaaab\x90\x90\x90c"
    assert b"".join(unrepeated(packed[at : at + 1] for at in range(len(packed)))) == b"aaaaab\x90\x90\x90c"


@given(st.binary(max_size=63).filter(bool), st.binary(max_size=400), st.binary(max_size=100), st.integers(1, 50))
def test_what_is_written_is_read_back(name, data, resource, times):
    data *= times
    text = b"x\n" + made(name, data, resource, b"\n") + b"\n"
    source = Source(text, 0, len(text))
    (block,) = binhex_blocks(source, 0, len(text))
    forks = Forks.of(source, block)
    head = forks.head()
    assert head == Head(name, b"APPL", b"MWRD", 0x2000, len(data), len(resource))
    assert b"".join(forks.fork(head.data_bytes)) == data
    forks.skip_crc()
    assert b"".join(forks.fork(head.resource_bytes)) == resource
    assert max(map(len, text.split(b"\n"))) <= 65
