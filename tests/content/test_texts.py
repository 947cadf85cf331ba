"""The texts that rules look into: what is shown, where it stands, and nothing else."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Message
from mailward.mime import unpack_zip
from mailward_content.texts import _BREAKING, _HIDDEN, _INVISIBLE, Place, _may_hide, shown, texts_of, visible


def texts(raw: bytes, *places: Place) -> dict[str, str]:
    """Place and part → text, white space as single blanks."""
    with Message.from_bytes(raw) as message:
        for part in message.walk():
            members = None if part.children else unpack_zip(part)
            if members is not None:
                message.add_members(part, members)
        found = texts_of(message, places or tuple(Place), 2**20)
        return {f"{one.place} {one.part.path if one.part else ''}".strip(): " ".join(one.text.split()) for one in found}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("v<b>iag</b>ra", "viagra"),
        ("v<!-- hidden -->iagra", "viagra"),
        ("v<!-- a > b -->iagra", "viagra"),
        ("a<br>b<BR/>c<hr>d", "a b c d"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<style>p { color: red }</style>x<script>var a = '<p>'</script>y", "xy"),
        ("fish &amp; chips &#102;ree &nbsp;now", "fish & chips free now"),
        ("<a href='http://x.example/'>link</a>", "link"),
        ("open <!-- never closed", "open"),
        ("<!-->shown<!--->shown too", "shownshown too"),
        ("<!-- hidden --!>shown", "shown"),
        ("<script>hidden</script x='y'>shown<style>hidden</style\n>shown", "shownshown"),
        ("<script>hidden</scripted>hidden</script/>shown", "shown"),
        ('via<b title=">">gra', "viagra"),
        ("via<b title = '<>'>gra", "viagra"),
        ('via<b a=">" / b=\'">\' c=d">gra', "viagra"),
        ('cheap<br a=">">pills', "cheap pills"),
        ('via<script a="<">hidden</script b=">">gra', "viagra"),
        # what only looks like quotes around a value
        ('<a =">shown">', 'shown">'),
        ('<a b==">shown">', 'shown">'),
        ('<a ">shown">', 'shown">'),
        ('<a=">shown">', 'shown">'),
        ('<a b=c">shown">', 'shown">'),
        ('<a b="c"">shown">', 'shown">'),
        ('<!a=">shown">', 'shown">'),
        ('<?a=">shown">', 'shown">'),
        ('</ a=">shown">', 'shown">'),
        ("<?]]>shown", "shown"),
        ("</b</td>shown<i", "shown"),
        ("<!</p>shown", "shown"),
        ('<a b="never closed>shown', "shown"),
        ("open <a never closed", "open"),
        ("a < b and c > d", "a < b and c > d"),
        ("<w:p><w:r><w:t>inv</w:t></w:r><w:r><w:t>oice</w:t></w:r></w:p><w:p>next</w:p>", "invoice next"),
        ("<si><t>one</t></si><si><t>two</t></si>", "one two"),
        ("<text:p>a<text:tab/>b</text:p>", "a b"),
        ("<![CDATA[plain]]>", "plain"),
    ],
)
def test_markup_gives_the_text_that_it_shows(markup: str, text: str) -> None:
    assert " ".join(shown(markup).split()) == text


@given(st.text("<>!-/ab\"'&;scriptyle ", max_size=80))
def test_no_markup_makes_it_fail(markup: str) -> None:
    assert isinstance(shown(markup), str)


@given(st.text("<>!-/pb\u200b\u00e9 ", max_size=60))
def test_a_large_text_is_read_as_a_small_one(markup: str) -> None:
    small = shown(markup), visible(markup)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mailward_content.texts.BULK_CHARS", 0)
        assert (shown(markup), visible(markup)) == small


def test_a_header_of_many_fields_takes_linear_time() -> None:
    fields = b"".join(b"X-%d: a\r\nX-%d: b\r\n" % (number, number) for number in range(15_000))
    assert texts(fields + b"\r\nbody", Place.HEADERS)["headers"].endswith("X-14999: a X-14999: b")


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<",
            "<!--",
            "<script>",
            "<a ",
            "&",
            "</",
            "<p",
            "<![CDATA[",
            "<!-->",
            "<!--!",
            "</script ",
            "<script></script ",
        ),
        *("<a b=", '<a b="', "<a b='", "='", '="', "<a ", " = ", "<p ", "<p =", "<script ", "</", "<!"),
        *("<a hidden>", "<a hidden></a ", "<a display", "<a display : ", "hidden "),
    ],
)
def test_hostile_markup_takes_linear_time(piece: str) -> None:
    shown(piece * 200_000)
    shown(_HIDDEN.sub("", piece * 200_000))
    shown(_HIDDEN.sub("", "<a " + piece.replace("<", "") * 200_000))


def test_what_does_not_show_does_not_hide_a_word() -> None:
    assert visible("v\u200bi\u00adag\u2060ra") == "viagra"
    assert visible("plain") == "plain"
    ranges = ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069))
    hidden = [0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, *(code for first, last in ranges for code in range(first, last + 1))]
    assert visible("|".join(map(chr, hidden))) == "|" * (len(hidden) - 1)


@pytest.mark.parametrize("char", [0x01, 0x08, 0x7F, 0x9B, 0x34F, 0x180B, 0xFE0F, 0xFEFF, 0x206A, 0xE0061, 0xE0100])
def test_no_character_that_shows_nothing_hides_a_word(char: int) -> None:
    assert visible(f"via{chr(char)}gra") == "viagra"


@pytest.mark.parametrize("char", [0x09, 0x0A, 0x0C, 0x85, 0xA0, 0x2003, 0x3000])
def test_blanks_stay_blanks(char: int) -> None:
    assert visible(f"cheap{chr(char)}pills").split() == ["cheap", "pills"]


@pytest.mark.parametrize(
    "piece",
    [
        "<span style='display:none'>xx</span>",
        '<b style="color:red; FONT-SIZE : 0px">xx</b >',
        "<div hidden>xx</div>",
        "<i class=a style='display: none;' id=b>x<b>x</b>x</i>",
    ],
)
def test_what_html_hides_within_a_word_does_not_hide_the_word(piece: str) -> None:
    raw = b"Content-Type: text/html\r\n\r\n<p>via" + piece.encode() + b"gra</p>"
    with Message.from_bytes(raw) as message:
        found = [one.text.strip() for one in texts_of(message, [Place.BODY], 2**20)]
    assert "viagra" in found
    assert any("x" in text for text in found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "application/octet-stream"),
        ("a.xml", "application/octet-stream"),
        ("a.dat", "application/xml"),
        ("a.dat", "text/xml"),
        ("a.dat", "application/vnd.house+xml"),
        ("a.svg", "text/plain"),
    ],
)
def test_markup_is_known_by_its_type_or_its_name(mails: Any, name: str, kind: str) -> None:
    part = f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename={name}\r\n\r\n<t>via</t><t>gra</t>"
    with Message.from_bytes(mails.parts(part.encode())) as message:
        found = [one.text.strip() for one in texts_of(message, [Place.ATTACHMENTS], 2**20)]
    assert "viagra" in found


def test_a_section_that_is_a_comment_in_html_hides_nothing() -> None:
    with Message.from_bytes(b"Content-Type: text/html\r\n\r\n<p><![CDATA[<script>viagra") as message:
        assert "viagra" in [one.text.strip() for one in texts_of(message, [Place.BODY], 2**20)]


def test_a_text_whose_name_alone_says_markup_is_read_as_written_too(mails: Any) -> None:
    part = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<viagra>"
    with Message.from_bytes(mails.parts(part)) as message:
        found = [one.text.strip() for one in texts_of(message, [Place.ATTACHMENTS], 2**20)]
    assert "<viagra>" in found


def test_bodies_are_apart_from_attachments(mails: Any) -> None:
    raw = mails.parts(
        b"Content-Type: text/html\r\n\r\n<b>shown</b>",
        mails.file("note.txt", b"attached text"),
        mails.file("picture.png", b"\x89PNG\r\n\x1a\n\0binary"),
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached too",
    )
    found = texts(raw)
    assert found["body 1"] == "good day"
    assert found["body 2"] == "shown"
    assert found["markup 2"] == "<b>shown</b>"
    assert found["attachments 3"] == "attached text"
    assert found["attachments 5"] == "attached too"
    assert not any(key.endswith(" 4") for key in found)
    assert found["subject"] == "hello"
    assert "Subject: hello" in found["headers"]


def test_only_what_is_asked_for_is_read(mails: Any) -> None:
    raw = mails.parts(mails.file("note.txt", b"attached text"))
    assert list(texts(raw, Place.SUBJECT)) == ["subject"]
    assert list(texts(raw, Place.BODY)) == ["body 1"]
    assert list(texts(raw, Place.ATTACHMENTS)) == ["attachments 2"]


def test_text_is_decoded_by_its_charset_and_encoding(mails: Any) -> None:
    raw = mails.parts(
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6n",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nU2Now7Zu\r\n",
    )
    assert [texts(raw)[f"body {number}"] for number in (2, 3)] == ["Schön", "Schön"]


def test_a_text_is_one_by_its_declaration_whatever_its_first_bytes_look_like(mails: Any) -> None:
    assert texts(mails.parts(b"Content-Type: text/plain\r\n\r\nBMW for sale"))["body 2"] == "BMW for sale"


def test_bodies_of_forwarded_messages_are_bodies(mails: Any) -> None:
    found = texts(mails.forwarded(mails.plain(b"forwarded words")))
    assert "forwarded words" in found.values()


def archive(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, text in members.items():
            made.writestr(name.replace("__", "/") + ".xml", text)
    return target.getvalue()


def test_documents_of_office_programs_are_read(mails: Any) -> None:
    word = archive(word__document="<?xml version='1.0'?><w:p><w:t>Pay</w:t><w:t>roll</w:t></w:p>")
    text = archive(content="<?xml version='1.0'?><text:p>Salaries <text:span>2026</text:span></text:p>")
    found = texts(mails.parts(mails.file("a.docx", word), mails.file("b.odt", text)), Place.ATTACHMENTS)
    assert "Payroll" in found.values()
    assert "Salaries 2026" in found.values()


def test_utf_16_without_a_declaration_is_a_text(mails: Any) -> None:
    raw = mails.attached("note.txt", "payroll".encode("utf-16"))
    assert texts(raw)["attachments 2"] == "payroll"


@given(st.text("aZ \r\n\x00\x1b\x7f\x85\xad\u00e9\u20ac\u0436\u200b\ufe0f\U0001f4a9\U000e0041\ud83d", max_size=12))
def test_the_quick_look_for_invisible_characters_misses_none(text: str) -> None:
    assert visible(text) == _INVISIBLE.sub("", text)


@pytest.mark.parametrize("name", _BREAKING.split())
def test_an_element_that_parts_words_does_so_in_any_case_and_no_longer_name_does(name: str) -> None:
    assert shown(f"a<{name}>b</{name.upper()} >c<{name.title()} x='1'/>d") == "a\nb\nc\nd"
    assert shown(f"a<{name}span>b</{name}span>c") == "abc"


TOKENS = (
    "<p",
    "<B",
    "<",
    ">",
    " ",
    "\n",
    "hidden",
    "HIDDEN",
    "un",
    "display:",
    "Display : none",
    "none",
    "font-size",
    ":0",
    "x",
)


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_the_quick_look_for_hidden_elements_misses_none(markup: str) -> None:
    assert _may_hide(markup) or _HIDDEN.search(markup) is None
