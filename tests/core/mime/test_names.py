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
