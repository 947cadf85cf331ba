"""Edits: the splices that carry them out, and the messages they leave."""

import base64
import binascii
import quopri

import pytest

from mailward.mime import EditError, Member, Message, apply, resolve, spliced
from mailward.values.edit import (
    AddHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
    Splice,
)

MIXED = (
    b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\none\r\n"
    b"--b\r\nContent-Type: application/zip; name=z.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsFBg==\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i\r\n\r\ny\r\n--i--\r\n"
    b"--b--\r\n"
)


def edited(raw: bytes, *edits: Edit) -> bytes:
    return apply(raw, resolve(Message.from_bytes(raw), edits))


def leaves(raw: bytes) -> list[tuple[str, bytes]]:
    return [(part.path, part.content) for part in Message.from_bytes(raw).walk() if part.is_leaf]


def test_no_edits_change_nothing():
    assert edited(MIXED) == MIXED


def test_deleting_takes_delimiter_and_part():
    assert edited(MIXED, DeletePart("1")) == MIXED.replace(b"--b\r\n\r\none\r\n", b"")
    assert edited(MIXED, DeletePart("3/1")) == MIXED.replace(b"--i\r\n\r\nx\r\n", b"")
    assert edited(MIXED, DeletePart("3/2")) == MIXED.replace(b"\r\n--i\r\n\r\ny", b"")
    assert [path for path, _ in leaves(edited(MIXED, DeletePart("2"), DeletePart("3")))] == ["1"]
    assert leaves(edited(MIXED, DeletePart("1"), DeletePart("2"))) == [("1/1", b"x"), ("1/2", b"y")]


def test_a_multipart_that_loses_all_parts_keeps_an_empty_text():
    assert leaves(edited(MIXED, *(DeletePart(path) for path in "123"))) == [("1", b"")]
    assert b"--i\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\r\n--i--" in edited(
        MIXED, DeletePart("3/1"), DeletePart("3/2")
    )


def test_deleting_the_only_body_empties_it():
    raw = b"Subject: s\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\nX: y\r\n\r\nPGI+\r\n"
    changed = edited(raw, DeletePart("1"))
    assert changed == (b"Subject: s\r\nX: y\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
    assert edited(MIXED, DeletePart("")).startswith(b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain")


def test_replacing_puts_a_text_in_place():
    changed = edited(MIXED, ReplacePart("2", "File removed."))
    assert changed == MIXED.replace(
        b"Content-Type: application/zip; name=z.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsFBg==",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"
        b"Content-Disposition: inline\r\n\r\nFile removed.",
    )
    named = Message.from_bytes(edited(MIXED, ReplacePart("2", "x", "DELETED0.TXT"))).part("2")
    assert (named.filename, named.disposition) == ("DELETED0.TXT", "attachment")
    other = Message.from_bytes(edited(MIXED, ReplacePart("2", "x", 'n\u00e4me"\r\n.txt'))).part("2")
    assert other.filename == 'n\u00e4me".txt'


TEXTS = [
    "caf\u00e9 \u65e5\u672c",
    "--b\n--b--\n",
    "x" * 500,
    "a\n\nb \n.\nFrom here\n",
    "\u65e5" * 200,
    "nul \0",
    "",
    "-" * 90,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("path", ["1", "2", "3", "3/2", "", "3/"])
def test_any_text_survives_in_any_place(text, path):
    mail = Message.from_bytes(edited(MIXED, ReplacePart(path, text)))
    place = "1" if path == "" else "3/1" if path == "3/" else path
    assert mail.part(place).text.replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert mail.defects == []


def test_new_content_keeps_the_header_but_its_encoding():
    changed = edited(MIXED, ReplaceContent("1", b"\0new" * 30))
    part = Message.from_bytes(changed).part("1")
    assert part.content == b"\0new" * 30
    assert part.encoding == "base64"
    assert max(map(len, changed.split(b"\r\n"))) <= 76
    assert b"name=z.zip\r\nContent-Transfer-Encoding: base64\r\n\r\neHk=\r\n--b" in edited(
        MIXED, ReplaceContent("2", b"xy")
    )
    plain = b"Subject: s\n\nbody\n"
    assert edited(plain, ReplaceContent("1", b"new")) == (
        b"Subject: s\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nbmV3"
    )


@pytest.mark.parametrize("path", ["", "3", "3/"])
def test_only_leaves_take_new_content(path):
    with pytest.raises(EditError, match="it is no leaf"):
        edited(MIXED, ReplaceContent(path, b"x"))


def test_edits_that_cannot_be_are_named():
    with pytest.raises(EditError, match=r"DeletePart: no part '9'"):
        edited(MIXED, DeletePart("9"))
    with pytest.raises(EditError, match="two different contents"):
        edited(MIXED, ReplaceContent("1", b"a"), ReplaceContent("1", b"b"))
    with pytest.raises(EditError, match="is not the name of a header field"):
        edited(MIXED, AddHeader("X: y\r\nZ", "v"))
    with pytest.raises(EditError, match="is not an edit"):
        edited(MIXED, Edit())


def test_edits_inside_an_archive_climb_to_it_and_collapse():
    mail = Message.from_bytes(MIXED)
    mail.add_members(mail.part("2"), [Member("a", [b"x"]), Member("b", [b"y"])])
    deleted = resolve(mail, [DeletePart("2/a"), DeletePart("2/b"), DeletePart("2")])
    assert deleted == resolve(mail, [DeletePart("2")])
    replaced = Message.from_bytes(apply(MIXED, resolve(mail, [DeletePart("2/a"), ReplacePart("2/b", "gone", "G.TXT")])))
    assert replaced.part("2").text == "gone"
    texts = [ReplacePart("2/a", "a gone"), ReplacePart("2/b", "b gone")]
    both = apply(MIXED, resolve(mail, texts))
    assert Message.from_bytes(both).part("2").text == "a gone\r\nb gone"
    assert resolve(mail, [*texts, ReplacePart("2", "all gone")]) == resolve(mail, [ReplacePart("2", "all gone")])
    assert mail.part("2").is_rewritable
    assert not mail.part("2/a").is_rewritable
    with pytest.raises(EditError, match="'2/a' cannot be rewritten"):
        resolve(mail, [ReplaceContent("2/a", b"clean")])
    assert resolve(mail, [ReplaceContent("2", b"clean"), DeletePart("2/a")]) == deleted


def test_edits_inside_what_is_deleted_vanish():
    assert edited(MIXED, DeletePart("3"), ReplacePart("3/1", "x"), DeletePart("3/2")) == edited(MIXED, DeletePart("3"))


def test_edits_in_encoded_mail_encode_it_again():
    inner = base64.encodebytes(b"Subject: i\n\nhello").replace(b"\n", b"\r\n")
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + inner + b"--b--\r\n"
    )
    changed = edited(raw, ReplacePart("2/1", "bye"))
    mail = Message.from_bytes(changed)
    assert mail.part("2/1").text == "bye"
    assert mail.part("2").encoding == "base64"
    assert mail.part("2/1").headers.get("subject") == "i"
    assert changed.startswith(raw[: raw.index(inner)])


BLOCK = b"begin 644 a.exe\r\n" + binascii.b2a_uu(b"MZ").replace(b"\n", b"\r\n") + b"`\r\nend\r\n"
UU = b"Subject: s\r\n\r\nhello\r\n" + BLOCK + b"bye\r\n"


def test_a_uuencode_block_is_cut_out_of_its_text():
    assert edited(UU, DeletePart("1/a.exe")) == UU.replace(BLOCK, b"")


def test_a_uuencode_block_is_replaced_in_its_text():
    assert edited(UU, ReplacePart("1/a.exe", "removed\nbegin 644 x\n--b")) == UU.replace(
        BLOCK, b"removed\r\n begin 644 x\r\n --b\r\n"
    )


def test_a_uuencode_block_takes_new_content():
    changed = Message.from_bytes(edited(UU, ReplaceContent("1/a.exe", b"clean" * 30)))
    assert changed.part("1/a.exe").content == b"clean" * 30
    assert changed.root.content.endswith(b"end\r\nbye\r\n")


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_block_is_cut_out_of_an_encoded_text(encoding):
    text = b"h\xe9\r\n" + BLOCK + b"bye\r\n"
    encoded = base64.encodebytes(text) if encoding == "base64" else quopri.encodestring(text)
    raw = b"Subject: s\nContent-Transfer-Encoding: " + encoding.encode() + b"\n\n" + encoded
    changed = edited(raw, DeletePart("1/a.exe"))
    assert leaves(changed) == [("1", b"h\xe9\r\nbye\r\n")]
    assert Message.from_bytes(changed).root.headers.block == Message.from_bytes(raw).root.headers.block


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_headers_are_added_on_top_in_order(end):
    raw = b"A: b" + end + end + b"body"
    changed = edited(raw, AddHeader("X-One", "1"), AddHeader("X-Two", "caf\u00e9"))
    assert changed == b"X-One: 1" + end + b"X-Two: =?utf-8?q?caf=C3=A9?=" + end + raw


@pytest.mark.parametrize(
    "value", ["a\r\nBcc: evil@x", "a\nb", "a\rb", "a\0b", "a\r\n\r\nbody", "\r\n", "\n x", "\u2028x", "\x0bx", "\x85x"]
)
def test_a_value_cannot_leave_its_field(value):
    changed = edited(MIXED, AddHeader("X-A", value))
    mail = Message.from_bytes(changed)
    assert changed.endswith(MIXED)
    assert mail.headers.names[1:] == Message.from_bytes(MIXED).headers.names
    assert "\n" not in mail.headers.get("x-a")


def test_long_values_are_folded():
    changed = edited(b"A: b\r\n\r\n", AddHeader("X-Long", "word " * 60 + "x" * 90), AddHeader("X-Huge", "y" * 3000))
    lines = changed.split(b"\r\n")
    assert all(len(line) <= 91 for line in lines)
    mail = Message.from_bytes(changed)
    assert mail.headers.get("x-long") == "word " * 60 + "x" * 90
    assert mail.headers.get("x-huge") == "y" * 3000


def test_all_fields_of_a_name_are_removed_with_their_continuations():
    raw = b"X-A: 1\r\n 2\r\nB: c\r\nx-a: 3\r\n\r\nbody"
    assert edited(raw, RemoveHeader("X-A")) == b"B: c\r\n\r\nbody"
    assert edited(raw, RemoveHeader("none")) == raw
    assert edited(b"X: 1\r\nHello\r\nall\r\nNo: field", RemoveHeader("x")) == b"\r\nHello\r\nall\r\nNo: field"


@pytest.mark.parametrize(
    ("subject", "prefix", "result", "shown"),
    [
        (b"Subject: hello\r\n", "[SPAM]", b"Subject: [SPAM] hello\r\n", "[SPAM] hello"),
        (b"Subject:hello\r\n", "[SPAM]", b"Subject: [SPAM] hello\r\n", "[SPAM] hello"),
        (b"Subject: [SPAM] x\r\n", "[SPAM]", b"Subject: [SPAM] x\r\n", "[SPAM] x"),
        (b"Subject: =?utf-8?q?=5BSPAM=5D_x?=\r\n", "[SPAM]", None, "[SPAM] x"),
        (b"Subject:\r\n", "[SPAM]", b"Subject: [SPAM] \r\n", "[SPAM]"),
        (b"Subject: a\r\n b\r\n", "[X]", b"Subject: [X] a\r\n b\r\n", "[X] a b"),
        (b"Subject: x\r\n", "\u00e4bcde", b"Subject: =?utf-8?q?=C3=A4bcde?= x\r\n", "\u00e4bcde x"),
        (b"Subject: =?utf-8?b?eA==?=\r\n", "\u00e4", b"Subject: =?utf-8?b?w6Qg?= =?utf-8?b?eA==?=\r\n", "\u00e4 x"),
        (b"Subject: x\r\n", "a\r\nBcc: y", b"Subject: a Bcc: y x\r\n", "a Bcc: y x"),
        (b"X: y\r\n", "[SPAM]", b"Subject: [SPAM]\r\nX: y\r\n", "[SPAM]"),
    ],
)
def test_the_subject_is_prefixed_once(subject, prefix, result, shown):
    raw = subject + b"\r\nbody"
    changed = edited(raw, PrefixSubject(prefix))
    assert changed == (raw if result is None else result + b"\r\nbody")
    assert Message.from_bytes(changed).subject == shown
    assert edited(changed, PrefixSubject(prefix)) == changed


def test_several_prefixes_are_put_once_each():
    raw = b"Subject: x\r\n\r\n"
    changed = edited(raw, PrefixSubject("[A]"), PrefixSubject("[B]"), PrefixSubject("[A]"), PrefixSubject(" "))
    assert changed == b"Subject: [B] [A] x\r\n\r\n"
    assert edited(changed, PrefixSubject("[A]"), PrefixSubject("[B]")) == changed


def test_header_edits_work_together():
    raw = b"Subject: x\r\nX-Spam: no\r\n\r\nbody"
    changed = edited(
        raw, PrefixSubject("[A]"), RemoveHeader("x-spam"), AddHeader("X-Spam", "yes"), ReplacePart("1", "t")
    )
    assert changed == (
        b"X-Spam: yes\r\nSubject: [A] x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n\r\nt"
    )
    assert edited(raw, RemoveHeader("subject"), PrefixSubject("[A]")).startswith(b"Subject: [A]\r\nX-Spam")


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b"", b"X: y\r\n"),
        (b"just text", b"X: y\r\n\r\njust text"),
        (b"\r\nbody", b"X: y\r\n\r\nbody"),
        (b"A: b", b"X: y\r\nA: b"),
        (b"A: b\n\nc", b"X: y\nA: b\n\nc"),
    ],
)
def test_a_header_is_added_whatever_the_message_is(raw, changed):
    assert edited(raw, AddHeader("X", "y")) == changed


def test_splices_are_applied_in_pieces_of_any_size():
    raw = b"0123456789"
    splices = [Splice(0, 0, b"<"), Splice(2, 5, b"abc"), Splice(5, 5, b"|"), Splice(9, 10, b""), Splice(10, 10, b">")]
    expected = b"<01abc|5678>"
    assert apply(raw, splices) == expected
    assert apply(memoryview(raw), splices) == expected
    for size in range(1, 11):
        pieces = [raw[at : at + size] for at in range(0, 10, size)]
        assert b"".join(spliced(pieces, splices)) == expected
        out = list(spliced(raw, splices, size))
        assert b"".join(out) == expected
        assert max(map(len, out)) <= size
    assert b"".join(spliced(b"", (Splice(0, 0, b"x"),))) == b"x"


@pytest.mark.parametrize("raw", [MIXED, b"Subject: s\r\n\r\none body\r\n"], ids=["multipart", "one body"])
def test_the_empty_path_is_the_whole_message(raw: bytes):
    after = edited(raw, ReplacePart("", "gone"))
    assert leaves(after) == [("1", b"gone")]
    assert Message.from_bytes(after).subject == "s"
