"""Disarming, format by format: what acts is gone, everything else is as it was, and what cannot be done is said."""

from __future__ import annotations

import codecs
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import olefile
import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward_antivirus.disarm.disarm import disarm
from mailward_antivirus.disarm.emptyole import EMPTY_OLE
from mailward_antivirus.disarm.fields import without_dde
from mailward_antivirus.disarm.html import disarm_html, disarm_html_bytes, what_acts
from mailward_antivirus.disarm.ole import disarm_ole
from mailward_antivirus.disarm.ooxml import disarm_ooxml
from mailward_antivirus.disarm.outcome import CannotDisarm
from mailward_antivirus.disarm.pdf import disarm_pdf
from mailward_antivirus.disarm.rtf import disarm_rtf

from .conftest import Look
from .rtf_samples import ACTING as RTF_ACTING
from .rtf_samples import HARMLESS as RTF_HARMLESS
from .rtf_samples import document
from .samples import SAMPLES, XLM, XML, carrying, ooxml, pe, relationship

ACTING = (
    *("pdf_script", "pdf_launch", "pdf_embeds", "pdf_program", "pdf_submits", "rtf_object", "rtf_object_starts"),
    *("action_runs", "external_template", "external_object", "external_moniker", "embedded_program", "equation"),
    *("xlm_macro", "xlm_runs", "html_script", "html_hides", "html_smuggles", "html_redirects"),
)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("rule", ACTING)
def test_what_acted_is_found_no_more(rule: str, look: Look):
    sample = SAMPLES[rule]
    part = look.part(sample.name, sample.content)
    disarmed = disarm(part)
    assert disarmed.removed
    left = look.rules(sample.name, disarmed.content)
    assert rule not in left - {"embedded_object", "rtf_object"}


def test_macros_leave_an_office_document_with_all_that_names_them():
    rels = (
        b'<Relationships><Relationship Id="rId1" Type="http://x/vbaProject" Target="vbaProject.bin"/>'
        b'<Relationship Id="rId2" Type="http://x/styles" Target="styles.xml"/></Relationships>'
    )
    types = (
        b'<Types><Override PartName="/word/vbaProject.bin" ContentType="a"/>'
        b'<Override PartName="/word/styles.xml" ContentType="b"/></Types>'
    )
    kept = {"word/document.xml": b"<w:document>text</w:document>", "word/styles.xml": b"<w:styles/>"}
    document = {"[Content_Types].xml": types, "word/_rels/document.xml.rels": rels, "word/vbaProject.bin": b"x", **kept}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in document.items():
            archive.writestr(name, content)
    disarmed = disarm_ooxml(out.getvalue())
    left = members(disarmed.content)
    assert "word/vbaProject.bin" not in left
    assert b"vbaProject" not in left["[Content_Types].xml"] + left["word/_rels/document.xml.rels"]
    assert b"styles.xml" in left["word/_rels/document.xml.rels"]
    assert {name: left[name] for name in kept} == kept
    assert disarmed.removed == ("macros (vbaProject.bin)",)


def test_an_office_document_keeps_every_other_member_and_its_order():
    plain = {f"word/media/image{number}.png": bytes([number]) * 50 for number in range(5)}
    content = ooxml({**plain, "word/embeddings/oleObject1.bin": b"MZ", "xl/macrosheets/sheet1.xml": XLM % b"RUN(1)"})
    left = members(disarm_ooxml(content).content)
    assert list(left) == list(members(content))
    assert {name: left[name] for name in plain} == plain
    assert left["word/embeddings/oleObject1.bin"] == EMPTY_OLE
    assert b"RUN" not in left["xl/macrosheets/sheet1.xml"]


def test_links_of_the_reader_stay_and_links_that_load_do_not():
    rels = relationship("hyperlink", "https://example.com/") + relationship("attachedTemplate", "https://host/a.dotm")
    left = members(disarm_ooxml(ooxml({"word/_rels/document.xml.rels": rels})).content)["word/_rels/document.xml.rels"]
    assert b"https://example.com/" in left
    assert b"https://host" not in left
    assert b'Target="about:blank"' in left


def within(kind: str, target: str) -> bytes:
    return (
        f'<?xml version="1.0"?><Relationships><Relationship Id="a" Type="http://x/{kind}" Target="{target}"/>'
        "</Relationships>"
    ).encode()


@pytest.mark.parametrize(
    ("kind", "target", "name"),
    [
        ("vbaProject", "data.bin", "word/data.bin"),
        ("vbaProject", "/WORD/d%61ta.bin", "word/data.bin"),
        ("vbaProject", "media/../data.xml", "word/data.xml"),
        ("oleObject", "media/image1.png", "word/media/image1.png"),
        ("package", "other/data.xml", "word/other/data.xml"),
        ("image", "embeddings/data.xml", "word/embeddings/data.xml"),
    ],
)
def test_what_a_member_is_its_relationship_says_and_not_its_name(kind: str, target: str, name: str):
    acts = b"MZ what acts"
    decoy = {"word/vbaProject.bin": b"decoy", "word/document.xml": b"<w:document/>"}
    content = ooxml({**decoy, "word/_rels/document.xml.rels": within(kind, target), name: acts})
    disarmed = disarm_ooxml(content)
    left = members(disarmed.content)
    assert acts not in left.values()
    assert left["word/document.xml"] == b"<w:document/>"
    assert len(disarmed.removed) == 2


def test_a_sheet_of_macros_by_another_name_is_emptied():
    rels = {"xl/_rels/workbook.xml.rels": within("xlMacrosheet", "worksheets/sheet1.xml")}
    disarmed = disarm_ooxml(ooxml({**rels, "xl/worksheets/sheet1.xml": XLM % b"RUN(1)"}))
    assert b"RUN" not in members(disarmed.content)["xl/worksheets/sheet1.xml"]
    assert disarmed.removed == ("Excel 4 macros",)


RELATIONSHIPS = (
    '<r:Relationships xmlns:r="urn:r"><r:Relationship Id="a" Type="http://x/{}" Target="https://host/a" '
    'TargetMode="External"/></r:Relationships>',
    "<Relationships><Relationship Id='a' Type='http://x/{}' Target='https://host/a' TargetMode='External'/>"
    "</Relationships>",
    '<Relationships><Relationship Id="a>b" Type="http://x/&#{};" Target="h&#116;tps://host/a" TargetMode="External"/>'
    "</Relationships>",
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("form", RELATIONSHIPS)
def test_links_that_load_are_found_however_they_are_written_and_taken_out_or_refused(
    form: str, encoding: str, look: Look
):
    kind = "attachedTemplate"
    text = form.format("97;ttachedTemplate" if "&#{}" in form else kind).replace("Template;", "Template")
    content = ooxml({"word/_rels/settings.xml.rels": text.encode(encoding)})
    assert "external_template" in look.rules("a.docx", content)
    try:
        disarmed = disarm_ooxml(content)
    except CannotDisarm:
        return
    assert "external_template" not in look.rules("a.docx", disarmed.content)
    assert disarmed.removed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_fields_that_start_programs_are_found_with_any_prefix(encoding: str, look: Look):
    text = '<x:p xmlns:x="urn:w"><x:instrText>DDEAUTO c:\\\\windows\\\\cmd.exe "/k calc"</x:instrText></x:p>'
    assert "dde" in look.rules("a.docx", ooxml({"word/document.xml": text.encode(encoding)}))


@pytest.mark.parametrize("charset", ["", "utf-8", "iso-8859-1", "utf-16"])
@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_page_with_a_byte_order_mark_is_disarmed_as_browsers_read_it(mark: bytes, charset: str):
    codec = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    page = mark + "<p>\u00fc<script>alert(1)</script></p>".encode(codec)
    assert disarm_html_bytes(page, charset).content == mark + "<p>\u00fc</p>".encode(codec)
    assert not disarm_html_bytes(mark + "<p>\u00fc</p>".encode(codec), charset).removed


def test_a_page_is_not_changed_by_its_encoding_alone():
    assert not disarm_html_bytes("<p>x</p>".encode("utf-16-be"), "utf-16").removed


def test_an_empty_ole_file_is_one_that_libraries_read():
    with olefile.OleFileIO(EMPTY_OLE) as ole:
        assert ole.listdir() == []


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04 cut off", b"", ooxml({})[:-30], SAMPLES["default_password"].content],
    ids=["cut off", "empty", "no directory", "encrypted"],
)
@pytest.mark.parametrize("way", [disarm_ooxml, disarm_ole, disarm_pdf])
def test_what_cannot_be_read_is_said(way: Callable[[bytes], object], content: bytes):
    with pytest.raises(CannotDisarm):
        way(content)


def test_a_program_cannot_be_disarmed(look: Look):
    with pytest.raises(CannotDisarm, match="not a kind of content"):
        disarm(look.part("a.exe", pe()))


def test_fields_that_start_programs_lose_their_instruction_and_others_keep_it():
    begin, end = b'<w:fldChar w:fldCharType="begin"/>', b'<w:fldChar w:fldCharType="end"/>'
    date = begin + b"<w:instrText> DATE </w:instrText>" + end
    dde = begin + b"<w:instrText>D</w:instrText><w:instrText>DEAUTO c</w:instrText>" + end
    simple = b'<w:fldSimple w:instr="DDE x y"><w:t>shown</w:t></w:fldSimple>'
    text, found = without_dde(date + dde + simple)
    assert found
    assert date in text
    assert b"DDE" not in text
    assert b"shown" in text
    assert without_dde(date) == (date, False)


@pytest.mark.parametrize(
    "start",
    [rb"\objdata ", rb"\objdata0 ", rb"\objdata-12 ", rb"\\\objdata ", rb"\objdata{}", b"\\objdata\\bin3 }}}"],
)
def test_objects_are_found_and_blanked_however_their_control_word_is_written(start: bytes, look: Look):
    data = b"01050000020000000b000000" + b"equation.3".hex().encode()
    content = rb"{\rtf1{\object\objupdate1{\*" + start + data + b"}}text}"
    assert {"rtf_object", "rtf_object_starts"} <= look.rules("a.rtf", content)
    disarmed = disarm_rtf(content)
    assert "embedded objects" in disarmed.removed
    assert data not in disarmed.content
    assert disarmed.content.endswith(b"}}text}")
    assert len(disarmed.content) == len(content)
    assert "rtf_object_starts" not in look.rules("a.rtf", disarmed.content)


@pytest.mark.parametrize("name", RTF_ACTING)
def test_fields_of_rtf_that_act_are_blanked(name: str, look: Look):
    body, _ = RTF_ACTING[name]
    content = document(body)
    disarmed = disarm_rtf(content)
    assert len(disarmed.removed) == 1
    assert len(disarmed.content) == len(content)
    assert disarmed.content.startswith(b"{\\rtf1\\ansi before ")
    assert disarmed.content.endswith(b" after}")
    assert (b"shown" in content) == (b"shown" in disarmed.content)
    assert look("a.rtf", disarmed.content).traits == ()


@pytest.mark.parametrize("name", RTF_HARMLESS)
def test_other_fields_of_rtf_stay(name: str):
    content = document(RTF_HARMLESS[name])
    assert disarm_rtf(content).content == content or name == "local template"


@pytest.mark.parametrize(
    "content",
    [
        rb"{\rtf1{\field{\*\fldinst DDE cmd",
        b"{\\rtf1" + b"{\\field{\\fldinst IF " * 60 + b"DDE cmd" + b"}}" * 60 + b"}",
    ],
    ids=["not closed", "too many within one another"],
)
def test_fields_of_rtf_that_are_not_read_to_their_end_cannot_be_disarmed(content: bytes):
    with pytest.raises(CannotDisarm):
        disarm_rtf(content)


@pytest.mark.parametrize("within", [(b"{", b"}"), (b"", b"")], ids=["nested", "side by side"])
def test_objects_within_objects_are_looked_at_once(within: tuple[bytes, bytes]):
    many = 50_000
    content = b"{\\rtf1{" + (within[0] + rb"\objdata 00") * many + within[1] * many + b"}text}"
    disarmed = disarm_rtf(content)
    assert disarmed.content.count(rb"\objdata") == 1
    assert disarmed.content.endswith(b"}text}")


def script() -> pikepdf.Dictionary:
    return pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")


def annotation(**more: object) -> pikepdf.Array:
    box = pikepdf.Array([0, 0, 9, 9])
    return pikepdf.Array([pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=box, **more)])


NESTED: dict[str, Callable[[pikepdf.Pdf, pikepdf.Object], None]] = {
    "an annotation": lambda pdf, page: page.__setitem__("/Annots", annotation(A=script())),
    "an event": lambda pdf, page: page.__setitem__("/Annots", annotation(AA=pikepdf.Dictionary(E=script()))),
    "a file": lambda pdf, page: page.__setitem__(
        "/AF", pikepdf.Array([pikepdf.Dictionary(F="a.exe", EF=pikepdf.Dictionary(F=pdf.make_stream(b"MZ")))])
    ),
    "a field": lambda pdf, page: pdf.Root.__setitem__(
        "/AcroForm", pikepdf.Dictionary(Fields=pikepdf.Array([pikepdf.Dictionary(T="x", A=script())]))
    ),
    "what follows": lambda pdf, page: pdf.Root.__setitem__(
        "/OpenAction", pikepdf.Dictionary(S=pikepdf.Name.GoTo, Next=pikepdf.Array([script()]))
    ),
    "another type": lambda pdf, page: pdf.Root.__setitem__(
        "/OpenAction", pikepdf.Dictionary(Type=pikepdf.Name.Foo, S=pikepdf.Name.Launch, F="cmd.exe")
    ),
    "an outline": lambda pdf, page: pdf.Root.__setitem__(
        "/Outlines", pikepdf.Dictionary(First=pikepdf.Dictionary(Title="x", A=script()))
    ),
}


@pytest.mark.parametrize("where", NESTED)
def test_what_acts_is_taken_out_of_a_pdf_wherever_it_lies(where: str):
    made = pikepdf.new()
    made.add_blank_page()
    NESTED[where](made, made.pages[0].obj)
    made.save(out := io.BytesIO())
    disarmed = disarm_pdf(out.getvalue())
    assert disarmed.removed
    with pikepdf.open(io.BytesIO(disarmed.content)) as left:
        plain = b"".join(bytes(item.unparse()) for item in left.objects)
        assert len(left.pages) == 1
    for word in (b"/JavaScript", b"/JS", b"/Launch", b"/EF", b"/AA"):
        assert word not in plain


def test_pages_of_a_pdf_stay_as_they_were():
    content = carrying("run.exe", pe())
    with pikepdf.open(io.BytesIO(content)) as document:
        document.pages[0].Contents = document.make_stream(b"BT (hello) Tj ET")
        document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name("/JavaScript"), JS="app.alert(1)")
        out = io.BytesIO()
        document.save(out)
    disarmed = disarm_pdf(out.getvalue())
    with pikepdf.open(io.BytesIO(disarmed.content)) as document:
        assert document.pages[0].Contents.read_bytes() == b"BT (hello) Tj ET"
        assert not document.attachments
        assert "/OpenAction" not in document.Root
    assert {"scripts", "embedded files"} <= set(disarmed.removed)


def test_a_page_keeps_every_byte_that_does_not_act():
    start, end = "<!doctype html>\r\n<P class=a>caf\xe9 &amp; ", "\r\n</P>"
    page = start + "<b onmouseover='x()' id=q>bold</b><script>alert(1)</script>" + end
    assert disarm_html(page) == '<!doctype html>\r\n<P class=a>caf\xe9 &amp; <b id="q">bold</b>\r\n</P>'
    assert disarm_html_bytes(page.encode("latin-1"), "iso-8859-1").content.count(b"\xe9") == 1


@pytest.mark.parametrize(
    "page",
    [
        "<script src=x>",
        "<SCRIPT>a</SCRIPT >b",
        "<scr\nipt>x</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<a href=' java\tscript:x'>y</a>",
        "<iframe srcdoc='<script>1</script>'></iframe>",
        "<object data=x><embed src=y>",
        "<base href=//host/>",
        "<math><mi xlink:href='javascript:x'>",
        "<!--><script>1</script>-->",
        "<title><script>1</script></title>",
        "<style><!--</style><script>1</script>",
        "<a\x0cb onclick=x>",
        "<p/onclick=x>",
        "<meta http-equiv=Refresh content='0;url=x'>",
        "<form action=javascript:x>",
    ],
)
def test_pages_made_to_confuse_are_disarmed_or_refused(page: str):
    try:
        left = disarm_html(page)
    except CannotDisarm:
        return
    assert what_acts(left) == ""


@given(st.text(st.sampled_from("<>/!-=\"' \nascriptonlickx&#;:"), max_size=120))
@settings(max_examples=150)
def test_no_page_acts_after_disarming(text: str):
    try:
        left = disarm_html(f"<body>{text}<script>1</script>")
    except CannotDisarm:
        return
    assert what_acts(left) == ""


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_rtf_keeps_its_length_or_is_refused(noise: bytes):
    content = b"{\\rtf1{\\object\\objdata 01" + noise + b"}}"
    try:
        assert len(disarm_rtf(content).content) == len(content)
    except CannotDisarm:
        return


@given(st.integers(0, 2**31), st.integers(0, 255))
@settings(max_examples=60)
def test_a_damaged_ole_file_is_disarmed_or_refused_and_nothing_else(place: int, byte: int):
    content = bytearray(EMPTY_OLE)
    content[place % len(content)] = byte
    try:
        assert len(disarm_ole(bytes(content)).content) == len(content)
    except CannotDisarm:
        return


def test_nothing_is_taken_out_where_nothing_acts(tmp_path: Path):
    content = ooxml({"word/document.xml": XML + b"<w:document/>"})
    assert disarm_ooxml(content).removed == ()
