"""Every trait: what shows it, what does not, and what it is called."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import olefile
import pytest
from attrs import evolve

from mailward import Message, unpack_zip
from mailward_antivirus.disarm.disarm import disarm
from mailward_antivirus.disarm.emptyole import EMPTY_OLE
from mailward_antivirus.heuristics import html
from mailward_antivirus.heuristics.assess import Heuristics
from mailward_antivirus.heuristics.hiding import password_in
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.heuristics.patterns import pattern
from mailward_antivirus.heuristics.shortcuts import shortcut_strings
from mailward_antivirus.heuristics.sources import hides
from mailward_antivirus.heuristics.trait import MAX_EVIDENCE
from mailward_antivirus.heuristics.weights import THRESHOLDS, TRAITS

from .conftest import Look, attached, opened
from .rtf_samples import ACTING, HARMLESS, document
from .samples import SAMPLES, XLM, XML, elf, lnk, locked_zip, macros, ooxml, pe, relationship, zipped

ELSEWHERE = {"not_all_read", "xlm_hidden", "activex", "disk_image_packed", "disk_image_program"}
"""Traits of which tests of their own have the samples: they need more than one small attachment."""


def test_every_trait_of_the_table_has_a_sample():
    assert set(SAMPLES) | ELSEWHERE == set(TRAITS)
    assert not set(SAMPLES) & ELSEWHERE


@pytest.mark.parametrize("rule", SAMPLES)
def test_a_trait_is_found_in_its_sample(rule: str, look: Look):
    sample = SAMPLES[rule]
    found = {trait.rule: trait for trait in look(sample.name, sample.content, sample.text).traits}
    assert rule in found
    assert not found[rule].evidence or found[rule].evidence.isprintable()
    assert len(found[rule].evidence) <= MAX_EVIDENCE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("report.pdf", b"%PDF-1.7\n1 0 obj <</Type/Catalog>> endobj"),
        ("notes.txt", b"shell, powershell -enc, CreateObject: words in a text are words"),
        ("page.html", b"<html><body><p onclickless>hello</p></body></html>"),
        ("table.csv", b"a,b\n-1,+2\n=SUM(A1:A2),3\n"),
        ("letter.rtf", b"{\\rtf1\\ansi a letter that quotes \\\\objdata and \\\\objupdate}"),
        ("photo.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 90 + b"\0\0\0\0IEND\xaeB`\x82"),
        ("מסמך\u200f.docx", b"right to left, and lawful"),
        ("v1.2.final.docx", b"dots in a name"),
        ("data.zip", zipped({"a.txt": b"x"})),
        ("letter.docx", ooxml({"word/document.xml": XML + b"<w:instrText> DATE </w:instrText>"})),
        ("book.xlsx", ooxml({"xl/workbook.xml": XML + b'<definedName name="_xlnm.Print_Area">x</definedName>'})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_harmless_content_has_no_traits(name: str, content: bytes, look: Look):
    assert look(name, content).traits == ()


@pytest.mark.parametrize("name", ACTING)
def test_fields_of_rtf_that_act_are_found_however_they_are_written(name: str, look: Look):
    body, rule = ACTING[name]
    assert rule in look.rules("a.rtf", document(body))


@pytest.mark.parametrize("name", HARMLESS)
def test_other_fields_of_rtf_have_no_traits(name: str, look: Look):
    assert look("a.rtf", document(HARMLESS[name])).traits == ()


def test_fields_of_rtf_behind_much_text_are_found(look: Look):
    assert look.rules("a.rtf", document(b"\\par text " * 900_000 + ACTING["dde"][0])) == {"dde"}


def test_an_instruction_of_rtf_in_escapes_hides(look: Look):
    assert look.rules("a.rtf", document(ACTING["in hexadecimal"][0])) == {"dde", "rtf_hides"}


def test_fields_of_rtf_within_too_many_others_are_told(look: Look):
    deep = b"{\\field{\\fldinst IF " * 60 + b"DDE cmd" + b"}}" * 60
    assert "rtf_hides" in look.rules("a.rtf", document(deep))


def test_a_field_of_rtf_that_is_cut_off_is_read_as_far_as_it_goes(look: Look):
    assert look.rules("a.rtf", b"{\\rtf1{\\field{\\*\\fldinst DDE cmd") == {"dde"}


_ANSI = b'<?xml version="1.0" encoding="utf-8"?>'
LAUNCHERS = {
    "a.library-ms": _ANSI + b"<libraryDescription><url>\\\\host@80\\DavWWWRoot</url></libraryDescription>",
    "a.searchConnector-ms": _ANSI + b"<searchConnectorDescription><url>https://host/x</url>",
    "a.settingcontent-ms": _ANSI + b"<PCSettings><DeepLink>%windir%\\system32\\cmd.exe</DeepLink></PCSettings>",
    "a.appref-ms": "http://host/a.application#a.application, Culture=neutral".encode("utf-16"),
    "a.application": _ANSI + b'<deployment><deploymentProvider codebase="https://host/a.application"/></deployment>',
    "a.msc": _ANSI + b"<MMC_ConsoleFile><String>javascript:eval(1)</String></MMC_ConsoleFile>",
    "a.rdp": "full address:s:host\r\ndrivestoredirect:s:*\r\n".encode("utf-16"),
    "a.iqy": b"WEB\r\n1\r\nhttp://host/a\r\n",
    "a.appinstaller": _ANSI + b'<AppInstaller Uri="https://host/a.msix"/>',
    "a.scf": b"[Shell]\r\nIconFile=\\\\host\\share\\a.ico\r\n",
    "a.inf": b"[DefaultInstall]\r\nRunPreSetupCommands=x\r\n",
    "a.theme": b"[Theme]\r\nBrandImage=\\\\host\\share\\a.png\r\n",
    "a.desktop": b"[Desktop Entry]\nType=Application\nExec=sh -c x\n",
    "a.inetloc": _ANSI + b"<plist><dict><key>URL</key><string>FiLe:///a.app</string></dict></plist>",
    "a.command": b"#!/bin/sh\nid\n",
}
ONLY_NAMES = {
    "a.library-ms": _ANSI + b'<libraryDescription xmlns="http://schemas.microsoft.com/windows/2009/library"/>',
    "a.rdp": b"full address:s:host\r\n",
    "a.webloc": b'<!DOCTYPE plist PUBLIC "-//Apple" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist/>',
}


@pytest.mark.parametrize("name", LAUNCHERS)
def test_files_that_start_something_are_suspicious(name: str, look: Look):
    found = look(name, LAUNCHERS[name], level=Level.MEDIUM)
    assert {trait.rule for trait in found.traits} == {"launcher", "launcher_runs"}
    assert found.suspicious


@pytest.mark.parametrize("name", ONLY_NAMES)
def test_files_of_such_a_kind_that_lead_nowhere_are_not(name: str, look: Look):
    found = look(name, ONLY_NAMES[name], level=Level.MEDIUM)
    assert {trait.rule for trait in found.traits} == {"launcher"}
    assert not found.suspicious


@pytest.mark.parametrize("types", ["[content_types].xml", "[CONTENT_TYPES].XML"])
def test_a_document_is_one_whatever_stands_before_its_types_and_however_they_are_written(types: str, look: Look):
    template = relationship("attachedTemplate", "https://host/a.dotm")
    members = {f"{n}.txt": b"x" for n in range(60)} | {types: XML, "word/_rels/settings.xml.rels": template}
    found = look("a.docx", zipped(members | {"word/activeX/activeX1.xml": XML + b"<ax:ocx/>"}))
    assert "external_template" in {trait.rule for trait in found.traits}


@pytest.mark.parametrize(
    ("kind", "target", "rule"),
    [
        ("image", "file://host/share/a.png", "external_object"),
        ("image", "\\\\host\\share\\a.png", "external_object"),
        ("aFChunk", "https://host/a.html", "external_object"),
        ("image", "https://host/a.png", ""),
        ("image", "file:///C:/pictures/a.png", ""),
        ("hyperlink", "https://host/", ""),
    ],
)
def test_what_office_loads_from_another_host_is_told_and_taken_out(kind: str, target: str, rule: str, look: Look):
    content = ooxml({"word/_rels/document.xml.rels": relationship(kind, target)})
    assert look.rules("a.docx", content) == ({rule} if rule else set())
    disarmed = disarm(look.part("a.docx", content))
    assert look.rules("a.docx", disarmed.content) == set()
    assert (target.encode() in zipfile.ZipFile(io.BytesIO(disarmed.content)).read("word/_rels/document.xml.rels")) == (
        (not rule and kind != "image") or target.startswith("https://host/a.png")
    )


def test_macros_named_in_the_ribbon_may_lie_on_another_host(look: Look):
    ribbon = XML + b"<customUI xmlns='x' onLoad='https://host/a.dotm!run'/>"
    assert look.rules("a.docx", ooxml({"customUI/customUI.xml": ribbon})) == {"external_template"}


def test_macros_in_documents_of_one_xml_file_and_in_other_languages_are_found(look: Look):
    event = b'<script:event-listener script:event-name="dom:load" xlink:href="vnd.sun.star.script:a"/>'
    flat = XML + b"<office:document><ooo:source-code>Shell(&quot;cmd&quot;)</ooo:source-code>" + event
    assert look.rules("a.fodt", flat) == {"macro", "macro_runs", "macro_starts"}
    assert look.rules("a.xml", flat) == {"macro", "macro_runs", "macro_starts"}
    members = {"mimetype": b"x", "Scripts/python/a.py": b"import os; os.system('id')", "content.xml": XML + event}
    assert look.rules("a.odt", zipped(members)) == {"macro", "macro_runs", "macro_starts"}


def test_a_pdf_without_its_header_is_looked_at(look: Look):
    content = SAMPLES["pdf_launch"].content
    for form in (content[9:], b"x" * 1100 + content):
        assert {"pdf_launch", "pdf_unreadable"} <= look.rules("a.pdf", form)
    assert look.rules("a.pdf", b"no document at all") == set()


SMUGGLING = b"URL.createObjectURL(new Blob([atob('" + b"QUJD" * 300 + b"')]))"


@pytest.mark.parametrize("name", ["a.xml", "a.bin"])
@pytest.mark.parametrize(
    "page",
    [
        b'<html xmlns="http://www.w3.org/1999/xhtml"><script>%s</script></html>',
        b'<doc xmlns:h="http://www.w3.org/1999/xhtml"><h:script>%s</h:script></doc>',
        b'<?xml-stylesheet href="#s"?><doc><script>%s</script></doc>',
    ],
)
def test_xml_that_browsers_show_as_a_page_is_looked_at_as_one(name: str, page: bytes, look: Look):
    assert "html_smuggles" in look.rules(name, _ANSI + page % SMUGGLING)
    if name == "a.xml":
        assert "html_smuggles" in look.rules(name, (_ANSI + page % SMUGGLING).decode().encode("utf-16"))
        assert "html_smuggles" in look.rules(name, page % SMUGGLING)


def test_junk_in_encoded_data_does_not_hide_it(look: Look):
    data = b"!".join([b"QUJDREVG"] * 300)
    page = b"<script>URL.createObjectURL(new Blob([atob('" + data + b"'.replace(/!/g, ''))]))</script>"
    assert "html_smuggles" in look.rules("a.html", b"<html>" + page)


def test_a_word_of_the_text_is_no_macro(look: Look):
    text = XML + b"<w:t>read the source-code: Shell(x), and DDE</w:t>"
    assert look("a.docx", ooxml({"word/document.xml": text})).traits == ()


def test_padding_hides_neither_a_page_nor_a_field(look: Look):
    page = b"<html>" + b" " * 5_000_000 + b"<script>" + SMUGGLING + b"</script>"
    assert "html_smuggles" in look.rules("a.html", page)
    field = XML + b"".join(b"<w:t>%d</w:t>" % n for n in range(400_000)) + b"<w:instrText> DDEAUTO cmd </w:instrText>"
    assert "dde" in look.rules("a.docx", ooxml({"word/document.xml": field}))


def test_what_is_larger_than_is_looked_at_is_told(look: Look, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(html, "MAX_BYTES", 100)
    assert "not_all_read" not in look.rules("a.html", b"<html>" + b" " * 94)
    assert "not_all_read" in look.rules("a.html", b"<html>" + b" " * 95)


def test_programs_of_other_systems_are_programs(look: Look):
    assert look.rules("tool", elf()) == {"program"}
    assert look.rules("tool", elf(flags=7)) == {"program", "program_odd_header"}
    assert "program" in look.rules("tool", b"\xcf\xfa\xed\xfe" + b"\0" * 12 + struct.pack("<IIII", 4, 400, 0, 0))


@pytest.mark.parametrize(
    ("keywords", "evidence"),
    [
        ({"section": b"UPX0"}, "UPX"),
        ({"entry": 0x900000}, "lies in no section"),
        ({"flags": 0x40000040}, "is not code"),
    ],
)
def test_a_program_says_what_is_odd_about_its_header(keywords: dict[str, int], evidence: str, look: Look):
    assert any(evidence in trait.evidence for trait in look("a.exe", pe(**keywords)).traits)


def test_what_belongs_to_one_document_is_added_up(look: Look):
    members = {
        "word/_rels/settings.xml.rels": SAMPLES["external_template"].content and b"",
        "word/embeddings/a.exe": pe(),
        "xl/macrosheets/sheet1.xml": XLM % b"EXEC(1)",
    }
    document = look.part("a.docm", ooxml(members))
    assessed = Heuristics(Level.LOW).assess(document)
    assert {"embedded_program", "program", "xlm_macro", "xlm_runs"} <= {trait.rule for trait in assessed.traits}
    assert assessed.suspicious
    assert assessed.traits[0].rule == "embedded_program"
    assert assessed.name == "Heuristics.embedded_program"
    members_assessed = [Heuristics(Level.HIGH).assess(member) for member in document.children]
    assert all(not one.traits for one in members_assessed)


def test_a_disk_image_tells_where_it_lies_and_what_it_holds():
    message = opened(attached("a.zip", zipped({"b.iso": b"\0" * 4000})))
    image = next(part for part in message.walk() if part.filename == "b.iso")
    message.add_members(image, unpack_zip(opened(attached("c.zip", zipped({"run.lnk": b"x"}))).part("2")) or ())
    rules = {trait.rule for trait in Heuristics(Level.HIGH).assess(image).traits}
    assert rules == {"disk_image", "disk_image_packed", "disk_image_program"}


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("Password: abc123", "abc123"),
        ("the archive's password is hunter2.", "hunter2."),
        ("Das Passwort lautet: geheim", "geheim"),
        ("密码：1234", "1234"),
        ("Your password will expire soon", ""),
        ("nothing of the kind", ""),
    ],
)
def test_a_password_in_a_text_is_seen(text: str, password: str):
    assert password_in(text) == password


def test_an_encrypted_archive_without_a_password_in_the_text_is_no_trait(look: Look):
    assert look("a.zip", locked_zip(), "see attachment").traits == ()


def test_the_same_words_in_pieces_are_one_field(look: Look):
    pieces = b"".join(b"<w:instrText>%c</w:instrText>" % byte for byte in b"DDEAUTO c:\\calc")
    assert look.rules("a.docx", ooxml({"word/document.xml": XML + pieces})) == {"dde"}


def test_a_body_of_the_message_is_no_attachment():
    raw = b"Content-Type: text/html\r\n\r\n<html><script>eval(unescape('%41'))</script><input type=password></html>"
    assert Heuristics(Level.HIGH).assess(Message.from_bytes(raw).root).traits == ()


@pytest.mark.parametrize("level", [Level.LOW, Level.MEDIUM, Level.HIGH])
def test_a_part_is_suspicious_from_the_threshold_of_the_level(level: Level, look: Look):
    part = look.part("a.exe", pe())
    threshold = THRESHOLDS[level]
    assert Heuristics(level, {"program": threshold}).assess(part).suspicious
    assert not Heuristics(level, {"program": threshold - 1}).assess(part).suspicious
    assert Heuristics(Level.OFF, {"program": threshold}).assess(part).traits == ()


def test_a_weight_for_a_trait_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown traits: programme; allowed: double_extension"):
        Heuristics(Level.LOW, {"programme": 1.0})


def test_thresholds_fall_as_the_level_rises():
    assert THRESHOLDS[Level.LOW] > THRESHOLDS[Level.MEDIUM] > THRESHOLDS[Level.HIGH] > 0


def test_the_strings_of_a_shortcut_are_read():
    strings = shortcut_strings(lnk("..\\cmd.exe", "/c x"))
    assert (strings["relative_path"], strings["arguments"]) == ("..\\cmd.exe", "/c x")
    assert shortcut_strings(b"L\0\0\0") == {}


@pytest.mark.parametrize("source", [b"'a'+'b'+" * 60, b"-bxor 3", b"\\x41" * 60, b"Q" * 1200, b"65, 66, " * 80])
def test_sources_that_hide_are_seen(source: bytes):
    assert hides(source)


def test_plain_sources_hide_nothing():
    assert hides(b"def greet(name):\n    print('hello ' + name)\n" * 40) == b""


def test_patterns_take_linear_time_and_any_bytes():
    assert pattern("a[^b]{0,400}c").search(b"a" * 200_000) is None
    assert pattern("\\bnew\\b").search(bytes(range(256)) + b" NEW ") is not None


def test_an_ole_file_is_opened_once(look: Look, monkeypatch: pytest.MonkeyPatch):
    opened_files: list[Any] = []

    class Counted(olefile.OleFileIO):
        def open(self, filename: Any, write_mode: bool = False) -> None:
            opened_files.append(filename)
            super().open(filename, write_mode)

    monkeypatch.setattr(olefile, "OleFileIO", Counted)
    assert look("a.doc", EMPTY_OLE).traits == ()
    assert [file.getvalue() for file in opened_files] == [EMPTY_OLE]


def test_short_content_of_an_ole_file_is_never_taken_for_a_path(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    content = EMPTY_OLE[:8]
    Path(content.decode(errors="surrogateescape")).write_bytes(EMPTY_OLE)
    with olefile.OleFileIO(content) as taken_for_a_path:
        assert taken_for_a_path.fp.name == content
    assert look.rules("a.doc", content) == {"macro_unreadable"}


def test_a_macro_that_runs_when_the_document_opens_and_starts_programs_is_suspicious_at_medium(look: Look):
    body = 'Sub Document_Open()\nShell("calc")'
    assert look("a.odt", macros(body), level=Level.MEDIUM).suspicious
    sample = evolve(SAMPLES["macro"])
    assert not look(sample.name, sample.content, level=Level.MEDIUM).suspicious
