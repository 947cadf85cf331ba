"""Transfer encodings, charsets and types by content."""

import base64
import hashlib
import io
import itertools
import quopri
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailward.mime import LimitExceeded, Limits, Message, decode_text, detect
from mailward.mime.base64text import base64_stream, base64_whole
from mailward.mime.decode import quoted_stream, quoted_whole


def leaf(body: bytes, encoding: str, kind: str = "application/octet-stream", **limits: int):
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return Message.from_bytes(head + body, Limits(**limits))


@pytest.mark.parametrize(
    ("body", "content", "found"),
    [
        (b"QUJD", b"ABC", set()),
        (b"QUJD\r\nREVG\r\n", b"ABCDEF", set()),
        (b"QUJDRA==\r\n", b"ABCD", set()),
        (b"QU\r\nJD", b"ABC", set()),
        (b"QUJDRA", b"ABCD", {"base64_padding"}),
        (b"QUJDRA=", b"ABCD", {"base64_padding"}),
        (b"QUJDR", b"ABC", {"base64_padding"}),
        (b"QU!JD", b"ABC", {"base64_junk", "not_base64"}),
        (b"QU\xe9JD-", b"ABC", {"base64_junk", "not_base64"}),
        (b"QQ==QUJD", b"AABC", {"base64_after_padding"}),
        (b"QQ==\r\nQUJD\r\n", b"AABC", {"base64_after_padding"}),
        (b"", b"", set()),
        (b"====", b"", {"base64_padding"}),
    ],
)
def test_base64_is_read_whatever_is_in_it(body, content, found):
    mail = leaf(body, "BASE64 ")
    assert mail.root.content == content
    assert {finding.rule for finding in mail.defects} == found


@given(st.binary(max_size=200), st.integers(1, 30), st.integers(1, 80))
@settings(max_examples=200, deadline=None)
def test_base64_is_decoded_the_same_in_pieces(data, step, columns):
    encoded = base64.b64encode(data)
    body = b"\r\n".join(encoded[at : at + columns] for at in range(0, len(encoded), columns))
    reported: list[str] = []
    chunks = (body[at : at + step] for at in range(0, len(body), step))
    assert b"".join(base64_stream(chunks, reported.append)) == data
    assert base64_whole(body).data == data
    assert base64_whole(body).damage == ()
    assert reported == []


@given(st.text("QUJDA=\r\n !", max_size=60), st.integers(1, 20))
@example("QQ==QQ==", 3)
@settings(max_examples=500, deadline=None)
def test_damaged_base64_is_decoded_the_same_in_pieces(text, step):
    body = text.encode()
    chunks = (body[at : at + step] for at in range(0, len(body), step))
    assert b"".join(base64_stream(chunks, lambda word: None)) == base64_whole(body).data


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"caf=C3=A9", "caf\u00e9".encode()),
        (b"caf=c3=a9", "caf\u00e9".encode()),
        (b"a=\r\nb", b"ab"),
        (b"a=\nb", b"ab"),
        (b"a= \t\r\nb", b"ab"),
        (b"a=\rhidden\r\nb", b"ahidden\r\nb"),
        (b"a=ZZ=", b"a=ZZ"),
        (b"100% = all", b"100% = all"),
    ],
)
def test_quoted_printable_hides_nothing(body, content):
    assert leaf(body, "quoted-printable").root.content == content


@given(st.binary(max_size=300), st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_quoted_printable_is_decoded_the_same_in_pieces(data, step):
    encoded = quopri.encodestring(data)
    chunks = (encoded[at : at + step] for at in range(0, len(encoded), step))
    assert b"".join(quoted_stream(chunks)) == quoted_whole(encoded)


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "unknown"])
def test_identity_encodings_keep_every_byte(encoding):
    body = bytes(range(256))
    assert leaf(body, encoding).root.content == body


def test_x_uuencode_is_a_transfer_encoding():
    mail = leaf(b"begin 644 a\r\n#0V%T\r\n`\r\nend\r\n", "x-uuencode")
    assert mail.root.content == b"Cat"
    missing = leaf(b"nothing here", "x-uuencode")
    assert missing.root.content == b"nothing here"
    assert [finding.rule for finding in missing.defects] == ["uu_missing"]


def test_content_knows_size_head_digest_and_file():
    mail = leaf(base64.encodebytes(b"PK\x03\x04" + b"x" * 5000), "base64")
    part = mail.root
    assert part.head(4) == b"PK\x03\x04"
    assert part.detected_type == "application/zip"
    assert part.size == 5004
    assert part.digest("md5") == part.digest("md5")
    assert part.digest("sha1") != part.digest("sha256")
    with part.open() as file:
        file.seek(-5, io.SEEK_END)
        assert file.read() == b"xxxxx"
        assert file.seek(1) == 1
        assert file.tell() == 1
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)


def test_large_encoded_content_is_streamed_and_opened_from_a_file():
    data = bytes(range(256)) * 40_000
    mail = leaf(base64.encodebytes(data), "base64")
    part = mail.root
    assert part.head(300) == data[:300]
    assert max(len(piece) for piece in part.stream(65536)) <= 65536
    assert b"".join(part.stream(65536)) == data
    assert part.size == len(data)
    with part.open() as file:
        file.seek(1_000_000)
        assert file.read(10) == data[1_000_000:1_000_010]
    assert part.content == data
    mail.close()


def test_content_beyond_the_limit_raises_but_streams():
    mail = leaf(base64.encodebytes(b"x" * 1000), "base64", max_part_bytes=500)
    with pytest.raises(LimitExceeded, match="max_part_bytes"):
        _ = mail.root.content
    assert sum(map(len, mail.root.stream())) == 1000
    assert len(mail.root.text) == 500
    assert [finding.name for finding in mail.defects] == ["max_part_bytes"]


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("\u00e4".encode(), "utf-8", "\u00e4"),
        ("\u00e4".encode(), "UTF8", "\u00e4"),
        (b"\xe4", "iso-8859-1", "\u00e4"),
        (b"\xe4", "us-ascii", "\u00e4"),
        (b"\xe4", "nonsense", "\u00e4"),
        (b"\xe4", "", "\u00e4"),
        (b"\xff\xfea\x00", "utf-16", "a"),
        (b"\xe4\xff", "utf-8", "\ufffd\ufffd"),
        (b"\x93x\x94", "windows-1252", "\u201cx\u201d"),
        (b"abc", "zlib", "abc"),
        (b"abc", "../../x", "abc"),
    ],
)
def test_text_is_decoded_by_charset_or_by_guess(data, charset, text):
    assert decode_text(data, charset) == text


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04", "application/zip"),
        (b"MZ\x90", "application/x-dosexec"),
        (b"\x7fELF", "application/x-elf"),
        (b"junk%PDF-1.4", "application/pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"\x1f\x8b\x08", "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01", "application/vnd.rar"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"{\\rtf1", "application/rtf"),
        (b" \r\n<!DOCTYPE html>", "text/html"),
        (b"<script>", "text/html"),
        (b"<?xml version='1.0'?>", "application/xml"),
        (b"<?xml version='1.0'?><svg>", "image/svg+xml"),
        (b"RIFF\0\0\0\0WAVE", "audio/x-wav"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0" * 257 + b"ustar", "application/x-tar"),
        (b"Received: by x\r\nFrom: a@b\r\n", "message/rfc822"),
        (b"Dear all,\nFrom: now", ""),
        (b"hello", ""),
        (b"", ""),
    ],
)
def test_types_are_known_by_their_first_bytes(head, kind):
    assert detect(head) == kind


def test_charset_names_from_messages_do_not_reach_the_import_system():
    names = ["".join(letters) for letters in itertools.product("abc", repeat=3)]
    assert {decode_text(b"x", name) for name in names} == {"x"}


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("The word\u00e4".encode("utf-16"), "us-ascii", "The word\u00e4"),
        ("The word".encode("utf-16-le"), "utf-8", "The word"),
        ("The word".encode("utf-16-be"), "iso-8859-1", "The word"),
        ("The word".encode("utf-16-be"), "utf-16be", "The word"),
        (b"a\0b\0\0c then plain", "us-ascii", "a\0b\0\0c then plain"),
        (b"+ADw-b+AD4-", "utf-7", "<b>"),
        (b"+2AA-x", "unicode-1-1-utf-7", "\ufffdx"),
        (b"a+", "utf-7", "a"),
    ],
)
def test_a_text_is_read_whatever_its_charset_is_called(data, charset, text):
    mail = leaf(base64.encodebytes(data), "base64", f"text/plain; charset={charset}")
    assert mail.root.text == text
    assert mail.root.text.encode()
    lies = not charset.lower().startswith(("utf-16", "utf-7", "unicode")) and "then" not in text
    assert ("charset_wrong" in {finding.rule for finding in mail.defects}) == lies


@given(st.binary(max_size=200), st.sampled_from(["utf-7", "utf-16", "utf-32", "gb18030", "hz", "big5", "iso-2022-jp"]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_any_charset_make_a_text_that_can_be_written(data, charset):
    assert decode_text(data, charset).encode() is not None


def test_large_content_is_decoded_once_and_read_as_often_as_one_likes():
    data = bytes(range(256)) * 20_000
    body = base64.encodebytes(data)
    mail = leaf(body[:400] + b"!" + body[400:], "base64")
    part = mail.root
    source, start, end = part.inner()
    for _ in range(2):
        assert part.digest("sha256") == hashlib.sha256(data).hexdigest()
        assert b"".join(part.stream(1 << 18)) == data
        assert part.open().read() == data
        assert part.content == data
        assert part.size == end - start == len(data)
    assert part.inner() == (source, start, end)
    assert [finding.rule for finding in mail.defects] == ["base64_junk"]
    mail.close()


def test_memory_for_a_large_message_is_bounded(tmp_path):
    lines = base64.encodebytes(bytes(range(256)) * 4000)
    part = b"--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
    path = tmp_path / "mail"
    path.write_bytes(b"Content-Type: multipart/mixed; boundary=b\n\n" + (part + lines) * 10 + part + lines * 12)
    tracemalloc.start()
    try:
        with Message.from_file(path) as mail:
            for one in mail.walk():
                _ = one.names, one.detected_type, one.size, one.digest("sha256"), one.digest("md5")
                for _ in one.stream():
                    pass
                one.open().read(10)
            size = mail.size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 29_000_000
    assert peak < 20_000_000
