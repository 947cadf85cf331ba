"""File names: every name that some client may show."""

import pytest

from mailward.mime import Message
from mailward.mime.names import normalise, visible
from mailward.mime.parameters import parse_parameters


def part(*fields: str):
    return Message.from_bytes("\r\n".join([*fields, "", "x"]).encode("utf-8")).root


def test_all_names_are_there_the_preferred_one_first():
    found = part(
        "Content-Type: application/x; name=\"type.txt\"; name*=utf-8''star.exe",
        "Content-Disposition: attachment; filename=\"plain.txt\"; filename*=utf-8''ext%20ended.exe",
        "Content-Disposition: attachment; filename=second.scr",
    )
    assert [(name.text, name.source) for name in found.names] == [
        ("ext ended.exe", "content-disposition filename*"),
        ("plain.txt", "content-disposition filename"),
        ("star.exe", "content-type name*"),
        ("type.txt", "content-type name"),
        ("second.scr", "content-disposition filename"),
    ]
    assert found.filename == "ext ended.exe"
    assert found.disposition == "attachment"


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('Content-Disposition: attachment; filename="a b.exe"', "a b.exe"),
        ("Content-Disposition: attachment; filename=a b.exe ", "a b.exe"),
        ("Content-Disposition: attachment; filename = a.exe; x=y", "a.exe"),
        ('Content-Disposition: attachment; FILENAME="a\\"b.exe"', 'a"b.exe'),
        ('Content-Disposition: attachment; filename="a;b.exe"', "a;b.exe"),
        ('Content-Disposition: attachment; filename="open.exe', "open.exe"),
        ('Content-Disposition: attachment;\r\n filename="a\r\n b.exe"', "a b.exe"),
        ('Content-Disposition: attachment; filename*0="a."; filename*1=exe', "a.exe"),
        ("Content-Disposition: attachment; filename*1=exe; filename*0=a.", "a.exe"),
        ("Content-Disposition: attachment; filename*0*=utf-8''%C3%A4; filename*1=.e; filename*2*=%78e", "\u00e4.exe"),
        ("Content-Disposition: attachment; filename*=iso-8859-1'de'%E4.exe", "\u00e4.exe"),
        ("Content-Disposition: attachment; filename*=noquotes%2Eexe", "noquotes.exe"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4.exe?="', "\u00e4.exe"),
        ('Content-Disposition: attachment; filename="=?utf-8?b?YS5l?= =?utf-8?b?eGU=?="', "a.exe"),
        ('Content-Type: image/png; name="\u00e4.exe"', "\u00e4.exe"),
        ('Content-Disposition: attachment; filename="C:\\\\dir\\\\a.exe"', "a.exe"),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
        ('Content-Disposition: attachment; filename="a.exe. . "', "a.exe"),
        ('Content-Disposition: attachment; filename=""', ""),
        ("Content-Disposition: attachment", ""),
        ("Content-Disposition: ;;;=;filename", ""),
    ],
)
def test_a_name_is_read_as_clients_read_it(field, name):
    assert part(field).filename == name


def test_what_hides_in_a_name_stays_in_raw_only():
    (name,) = part('Content-Disposition: attachment; filename="inv\u202efdp.exe\u200b\x01 "').names
    assert name.text == "invfdp.exe"
    assert name.raw == "inv\u202efdp.exe\u200b\x01"


def test_normalising_bounds_its_work():
    marks = "\u0301\u0323" * 200_000
    assert len(normalise("a" + marks + ".exe")) <= 1024
    assert normalise("x" * 5000 + ".exe").endswith(".exe")


def test_names_in_paths_are_reversible_and_clean():
    assert visible("a/b%\u202e\r\n.exe") == "a%2Fb%25.exe"
    assert len(visible("x" * 1000)) == 255


def test_parameters_give_text_and_raw():
    found = parse_parameters(b' text/plain; Charset="UTF-8"; x=1; x=2')
    assert found.value == b"text/plain"
    assert found.get("charset") == "UTF-8"
    assert found.raw("x") == b"1"
    assert [reading.text for reading in found.readings("x")] == ["1", "2"]
    assert found.get("none") == ""


def texts(field: str) -> list[str]:
    return [name.text for name in part(field).names]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        # A gap between segments: joined all the same, or cut there.
        ("Content-Disposition: x; filename*0=a.txt; filename*2=.exe", ["a.txt.exe", "a.txt"]),
        ("Content-Disposition: x; filename*0=a; filename*1=.txt; filename*1=.exe", ["a.txt", "a.exe"]),
        ("Content-Disposition: x; filename*1=.exe; filename*0=a", ["a.exe", ".exea"]),
        ("Content-Disposition: x; filename*0*=utf-8''a%2Ee; filename*1=xe", ["a.exe"]),
        ('Content-Disposition: x; filename*0="=?utf-8?q?a=2E"; filename*1="exe?="', ["=?utf-8?q?a=2Eexe?=", "a.exe"]),
        ("Content-Disposition: x; filename*=utf-8''=?utf-8?q?a=2Eexe?=", ["=?utf-8?q?a=2Eexe?=", "a.exe"]),
        ('Content-Disposition: x; filename="C:\\dir\\a.exe"', ["C:dira.exe", "a.exe"]),
        ('Content-Disposition: x; filename="a.txt".exe', ["a.txt", "a.txt.exe"]),
        ("Content-Disposition: x; filename=a.exe really.txt", ["a.exe really.txt", "a.exe"]),
        ('Content-Disposition: x; filename="a%2Eexe"', ["a%2Eexe", "a.exe"]),
        ("Content-Disposition: x; name=a.exe", ["a.exe"]),
        ("Content-Type: a/b; filename=a.exe", ["a.exe"]),
        ('Content-Disposition: x; filename="a.txt.exe . ."', ["a.txt.exe"]),
        ("Content-Location: http://example.com/dir/a%2Eexe?x=y.txt", ["a.exe"]),
        ("Content-Location: a.exe", ["a.exe"]),
        ("Content-Location: http://www.example.com", []),
        ("Content-ID: <image001.png@01DA.ABCD>", ["image001.png"]),
        ("Content-ID: <abc@example.com>", []),
        ("Content-Description: see setup.exe", ["see setup.exe"]),
        ("Content-Description: bob@example.com", []),
        ("Content-Description: the report", []),
        ("Content-Disposition: attachment; filename=a.exe(note)", ["a.exe(note)", "a.exe"]),
        ("Content-Disposition: x; filename=a.e(b(c)d)xe(open", ["a.e(b(c)d)xe(open", "a.exe"]),
        ('Content-Disposition: x; filename=a.exe"', ['a.exe"', "a.exe"]),
    ],
)
def test_names_that_only_some_clients_show_are_there_too(field, names):
    assert texts(field) == names


def test_other_fields_give_a_name_only_where_there_is_none():
    found = part("Content-Type: a/b; name=a.txt", "Content-Location: b.exe", "Content-ID: <c.exe@d>")
    assert [name.text for name in found.names] == ["a.txt"]


def test_names_of_a_part_are_bounded():
    many = "".join(f"; filename=f{number}.txt" for number in range(1000))
    assert len(part("Content-Disposition: x" + many).names) == 32


def test_an_attached_mail_without_a_name_shows_its_subject():
    raw = b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhi"
    mail = Message.from_bytes(raw)
    assert mail.root.filename == "Gr\u00fc\u00dfe.eml"
    assert mail.root.names[0].source == "subject"
    assert Message.from_bytes(b"Content-Type: message/rfc822\r\n\r\n\r\nhi").root.names == ()


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("a.exe", []),
        ("a\u202etxt.exe", ["name_bidi"]),
        ("a\u2067b.exe", ["name_bidi"]),
        ("a\x01b.exe", ["name_control"]),
        ("a\u202e\x7f.exe", ["name_bidi", "name_control"]),
        ("a\u00a0b\u3042.exe", []),
    ],
)
def test_characters_that_deceive_are_noted(name, rules):
    mail = Message.from_bytes(f'Content-Disposition: attachment; filename="{name}"\r\n\r\nx'.encode())
    assert mail.root.names
    assert [(finding.kind.value, finding.rule) for finding in mail.defects if finding.rule != "header_8bit"] == [
        ("note", rule) for rule in rules
    ]
