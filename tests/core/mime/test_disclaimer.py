"""Disclaimers and changed header fields: where they go, in which bytes, and what stays as it was."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import Message, apply, resolve
from mailward.values.edit import (
    AppendText,
    ChangeHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
)

from .containers import attached, opened, zipped

TEXT = "-- \nThis mail is confidential."


def edited(raw: bytes, *edits: Edit) -> bytes:
    return apply(raw, resolve(opened(raw)[0], edits))


def shown(raw: bytes) -> dict[str, str]:
    """Every text part, as another parser sees it."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not [part.defects for part in message.walk() if part.defects]
    texts = (part for part in message.walk() if part.get_content_maintype() == "text")
    return {f"{number} {part.get_content_subtype()}": part.get_content() for number, part in enumerate(texts)}


def one(body: bytes, *fields: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join((b"Subject: s", b"MIME-Version: 1.0", *fields, b"", body))


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_plain_text_gets_it_behind_its_last_line(end):
    raw = one(b"Hello" + end, end=end)
    assert edited(raw, AppendText(TEXT)) == raw + b"-- " + end + b"This mail is confidential." + end
    assert edited(raw.rstrip(end), AppendText("x")) == raw.rstrip(end) + end + b"x"


ALTERNATIVE = (
    b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Sch=F6n=\r\ner Tag\r\n"
    b'--b\r\nContent-Type: multipart/related; boundary=c; start="<x>"\r\n\r\n'
    b"--c\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n\r\nPNG\r\n"
    b"--c\r\nContent-Type: text/html; charset=us-ascii\r\nContent-ID: <x>\r\n\r\n"
    b"<html><body><p>Tag</p></BODY ></html>\r\n"
    b"--c--\r\n--b--\r\n"
    b"--a\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached\r\n"
    b"--a\r\nContent-Type: text/plain\r\n\r\nsecond\r\n--a--\r\n"
)


def test_both_alternatives_get_it_and_nothing_else_changes():
    changed = edited(ALTERNATIVE, AppendText("gr\u00fc\u00df <b>", "<hr>gr\u00fc\u00df"))
    assert changed == ALTERNATIVE.replace(b"er Tag\r\n", b"er Tag\r\ngr=FC=DF <b>\r\n").replace(
        b"</p></BODY >", b"</p>\r\n<hr>gr&#252;&#223;\r\n</BODY >"
    )
    assert b"<p>a &lt;b&gt;<br>\r\n&amp;</p>\r\n</BODY >" in edited(ALTERNATIVE, AppendText("a <b>\n&"))


def test_several_are_put_one_after_the_other_and_each_once():
    changed = edited(ALTERNATIVE, AppendText("one"), AppendText("two", "<i>2</i>"), AppendText("one"), AppendText(" "))
    assert b"er Tag\r\none\r\n\r\ntwo\r\n--b" in changed
    assert b"<p>one</p>\r\n<i>2</i>\r\n</BODY >" in changed


BODIES = [
    ("us-ascii", "7bit", "Hello\r\n"),
    ("utf-8", "8bit", "Gr\u00fc\u00dfe\r\n"),
    ("utf-8", "7bit", "Hello\r\n"),
    ("utf-8", "base64", "Gr\u00fc\u00dfe \u65e5\u672c" * 40),
    ("utf-8", "quoted-printable", "Gr\u00fc\u00dfe \u65e5\u672c\r\n" * 9),
    ("iso-8859-15", "quoted-printable", "5 \u20ac" * 60),
    ("windows-1252", "8bit", "5 \u20ac\r\n"),
    ("iso-2022-jp", "7bit", "\u65e5\u672c\r\n"),
    ("shift_jis", "base64", "\u65e5\u672c\r\n"),
    ("utf-16", "base64", "wide\r\n"),
    ("gb2312", "8bit", "\u4e2d\u6587"),
    ("", "", "Hello\r\n"),
]


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize(
    "text", ["plain words", "gr\u00fc\u00df dich", "\u65e5\u672c\u8a9e", "x " * 800 + "end", "-" * 90]
)
@pytest.mark.parametrize(("charset", "encoding", "body"), BODIES)
def test_every_charset_and_encoding_takes_every_text(kind, text, charset, encoding, body):
    content = body if kind == "plain" else f"<html><body>{body}</body></html>"
    data = content.encode(charset or "ascii")
    if encoding == "base64":
        data = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        data = quopri.encodestring(data).replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")
    fields = [f"Content-Type: text/{kind}" + (f"; charset={charset}; x=y" if charset else "")]
    fields += [f"Content-Transfer-Encoding: {encoding}"] if encoding else []
    raw = one(data, *(field.encode() for field in fields))
    if not charset and kind == "plain":
        raw = one(data)
    changed = edited(raw, AppendText(text))
    (found,) = shown(changed).values()
    found = found.replace("\r\n", "\n")
    for old in content.replace("\r\n", "\n").split("</body>"):
        assert old in found
    assert text in "".join(chr(int(p[2:-1])) if p[:2] == "&#" else p for p in _pieces(found))
    assert all(len(line) < 998 for line in changed.splitlines())
    after = Message.from_bytes(changed)
    assert {f.rule for f in after.defects} == {f.rule for f in Message.from_bytes(raw).defects}
    assert after.root.parameters.get("x") == ("y" if charset else "")
    assert changed.startswith(b"Subject: s\r\nMIME-Version: 1.0\r\n")


def _pieces(text: str) -> list[str]:
    return re.split(r"(&#\d+;)", text)


def test_an_encoded_body_keeps_its_bytes_before_the_text():
    long = base64.encodebytes(b"line of text\r\n" * 40)
    raw = one(long, b"Content-Transfer-Encoding: base64", b"Content-MD5: x", end=b"\n")
    changed = edited(raw, AppendText("end"))
    assert changed.startswith(raw.replace(b"Content-MD5: x\n", b"")[: -len(long) + 700])
    assert Message.from_bytes(changed).root.content == b"line of text\r\n" * 40 + b"end\n"
    soft = one(b"ends in a soft break =\r\n", b"Content-Transfer-Encoding: quoted-printable")
    assert edited(soft, AppendText("end")).endswith(b"soft break =\r\n\r\nend")
    html = one(b"<p>a</p=\r\n></bo=\r\ndy>", b"Content-Type: text/html", b"Content-Transfer-Encoding: quoted-printable")
    assert Message.from_bytes(edited(html, AppendText("x"))).root.content == b"<p>a</p>\r\n<p>x</p>\r\n</body>"


SIGNED = (
    b"Content-Type: multipart/signed; boundary=s; protocol=x\r\n\r\n--s\r\n\r\nsigned text\r\n"
    b"--s\r\nContent-Type: application/pgp-signature\r\n\r\nsignature\r\n--s--\r\n"
)
CLOSED = {
    "signed": SIGNED,
    "encrypted": SIGNED.replace(b"signed;", b"encrypted;"),
    "attachment": b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\ntext\r\n",
    "named": b"Content-Type: text/plain; name=a.txt\r\n\r\ntext\r\n",
    "image": b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <x>\r\n\r\nUE5H\r\n",
    "pkcs7": b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nUE5H\r\n",
    "unknown charset": b"Content-Type: text/plain; charset=x-none\r\n\r\ntext\r\n",
    "mail": b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n",
    "8 bit as ascii": b"Content-Type: text/plain; charset=us-ascii\r\n\r\n\xff\r\n",
}


@pytest.mark.parametrize("name", CLOSED)
def test_what_cannot_take_it_is_wrapped_byte_for_byte(name):
    raw = b"Subject: s\r\nMIME-Version: 1.0\r\nX: y\r\n" + CLOSED[name]
    changed = edited(raw, AppendText("gr\u00fc\u00df"))
    after, before = Message.from_bytes(changed), Message.from_bytes(raw)
    assert after.root.declared_type == "multipart/mixed"
    assert CLOSED[name] in changed
    assert after.part("2").text == "gr\u00fc\u00df"
    assert after.headers.names == ["subject", "mime-version", "x", "content-type"]
    assert {f.rule for f in after.defects} == {f.rule for f in before.defects}
    assert changed == edited(raw, AppendText("gr\u00fc\u00df"))


def test_wrapping_goes_with_other_edits():
    raw = b"Subject: s\r\n" + SIGNED
    changed = Message.from_bytes(edited(raw, AppendText("t"), DeletePart("2"), PrefixSubject("[A]")))
    assert (changed.subject, changed.part("1.1").content, changed.part("2").text) == ("[A] s", b"signed text", "t")
    archive = base64.encodebytes(zipped(("a.exe", b"evil"), ("b", b"good")))
    raw = b"Subject: s\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + archive
    after = opened(edited(raw, AppendText("t"), DeletePart("1/a.exe")))[0]
    assert after.part("1/b").content == b"good"
    assert b"taken out" in after.part("1/DELETED0.TXT").content
    assert after.part("2").text == "t"
    for bare in (b"", b"text", b"A: b", b"\n\ntext", b"A: b\nno field\n\nx"):
        assert b"disclaimer" in edited(bare, AppendText("disclaimer"))


def test_a_body_that_changes_too_takes_the_text():
    raw = attached(b"x")
    assert Message.from_bytes(edited(raw, ReplacePart("1", "gone"), AppendText("end"))).part("1").text == "gone\r\nend"
    assert (
        Message.from_bytes(edited(raw, ReplaceContent("1", b"new"), AppendText("end"))).part("1").text == "new\r\nend"
    )
    assert Message.from_bytes(edited(raw, ReplacePart("", "gone"), AppendText("end"))).root.text == "gone\r\nend"
    deleted = Message.from_bytes(edited(raw, DeletePart("1"), AppendText("end")))
    assert deleted.part("2").text == "end"
    assert deleted.part("1.1").content == b"x"
    assert Message.from_bytes(edited(raw, DeletePart(""), AppendText("end"))).root.text == "end"


def test_no_line_of_it_is_a_delimiter_or_a_block():
    raw = ALTERNATIVE
    changed = Message.from_bytes(edited(raw, AppendText("--a--\n--b\nbegin 644 x\n--c--")))
    assert [part.path for part in changed.walk()] == [part.path for part in Message.from_bytes(raw).walk()]
    assert changed.defects == []


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"), min_size=1, max_size=80),
    st.binary(max_size=80) | st.just(b"<html></html>"),
    st.sampled_from(["", "base64", "quoted-printable", "8bit"]),
    st.sampled_from(["text/plain", "text/html", "text/plain; charset=utf-8", "text/plain; format=flowed", "a/b"]),
)
@settings(max_examples=300, deadline=None)
def test_the_content_stays_whatever_it_is(text, content, encoding, kind):
    body = base64.b64encode(content) if encoding == "base64" else content
    if encoding == "quoted-printable":
        body = quopri.encodestring(content)
    fields = [b"Content-Type: " + kind.encode(), b"Content-Transfer-Encoding: " + encoding.encode()]
    raw = one(body, *fields[: 2 if encoding else 1])
    before = Message.from_bytes(raw)
    content = before.root.content
    changed = edited(raw, AppendText(text))
    if not text.strip():
        assert changed == raw
        return
    after = Message.from_bytes(changed)
    part = after.root if after.root.is_leaf else after.part("1")
    if "charset=utf-8" in kind or content.isascii():
        for piece in content.split(b"</html>"):
            assert piece in part.content
    assert {f.rule for f in after.defects} <= {f.rule for f in before.defects}


FIELDS = b"Subject: a\r\nX: 1\r\n  more\r\nY: 2\r\nx: 3\r\n\r\nbody"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([ChangeHeader("X", "new")], b"Subject: a\r\nX: new\r\nY: 2\r\n\r\nbody"),
        ([ChangeHeader("Z", "new")], b"Z: new\r\n" + FIELDS),
        ([ChangeHeader("Y", "caf\u00e9")], FIELDS.replace(b"Y: 2", b"Y: =?utf-8?q?caf=C3=A9?=")),
        ([ChangeHeader("X", "a"), ChangeHeader("x", "b")], b"Subject: a\r\nx: b\r\nY: 2\r\n\r\nbody"),
        ([RemoveHeader("x"), ChangeHeader("X", "n")], b"Subject: a\r\nX: n\r\nY: 2\r\n\r\nbody"),
        ([ChangeHeader("Subject", "b"), PrefixSubject("[S]")], FIELDS.replace(b"Subject: a", b"Subject: [S] b")),
        ([ChangeHeader("Subject", "[S] b"), PrefixSubject("[S]")], FIELDS.replace(b"Subject: a", b"Subject: [S] b")),
        ([ChangeHeader("Y", "a\r\nBcc: b")], FIELDS.replace(b"Y: 2", b"Y: a Bcc: b")),
    ],
)
def test_a_header_is_changed_in_its_place(edits, expected):
    assert edited(FIELDS, *edits) == expected


def test_a_header_without_line_end_is_changed():
    assert edited(b"A: b\nX: y", ChangeHeader("x", "z")) == b"A: b\nx: z"


@pytest.mark.parametrize("charset", ["iso-8859-1", "iso-2022-jp", "gb2312", "koi8-r", "utf-8"])
def test_a_prefix_goes_before_words_of_any_charset(charset):
    text = {"iso-2022-jp": "\u65e5\u672c", "gb2312": "\u4e2d\u6587", "koi8-r": "\u043f\u0440"}.get(
        charset, "gr\u00fc\u00df"
    )
    word = f"=?{charset}?b?".encode() + base64.b64encode(text.encode(charset)) + b"?="
    raw = b"Subject: " + word + b"\r\n " + word + b"\r\n\r\n"
    for prefix in ("[SPAM]", "[\u5783\u573e]"):
        changed = edited(raw, PrefixSubject(prefix))
        assert Message.from_bytes(changed).subject == f"{prefix} {text}{text}"
        assert (
            str(email.message_from_bytes(changed, policy=email.policy.default)["subject"]) == f"{prefix} {text}{text}"
        )
        assert changed.endswith(raw[len(b"Subject: ") :])
