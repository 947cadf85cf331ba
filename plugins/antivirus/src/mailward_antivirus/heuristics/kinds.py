"""Kinds of files: which extensions open with what, and which types are which."""

from __future__ import annotations

_PROGRAMS = """
    exe com scr pif cpl dll ocx sys drv msi msp msix appx jar xll application gadget elf bin run
"""
_SCRIPTS = """
    js jse vbs vbe vb wsf wsh wsc sct hta ps1 ps1xml psm1 psd1 bat cmd msh mshxml reg inf scf chm jnlp iqy slk
    settingcontent-ms library-ms searchconnector-ms search-ms msc url website lnk appref-ms appinstaller vsto xbap rdp
    wsb oqy dqy rqy udl theme themepack deskthemepack ahk au3 pyw applescript desktop inetloc fileloc terminal
    command
"""
_DOCUMENTS = """
    doc docx docm dot dotx dotm xls xlsx xlsm xlsb xlt xltx csv ppt pptx pptm pps ppsx odt ods odp rtf pdf txt htm html
    jpg jpeg png gif bmp tif tiff webp svg mp3 mp4 avi mov wav zip rar 7z eml msg one
"""
PROGRAMS = frozenset(_PROGRAMS.split())
SCRIPTS = frozenset(_SCRIPTS.split())
RUNS = PROGRAMS | SCRIPTS
"""Extensions of what runs when it is opened on Windows (``elf``, ``bin`` and ``run`` elsewhere)."""

DOCUMENTS = frozenset(_DOCUMENTS.split())
"""Extensions of what people expect to read, see or hear."""

_BY_KIND: dict[str, str] = {
    "program": _PROGRAMS,
    "script": _SCRIPTS,
    "office": """
        doc docx docm dot dotx dotm xls xlsx xlsm xlsb xlt xltx xltm xla xlam ppt pptx pptm pps ppsx pot potx potm ppsm
        odt ods odp vsd vsdx mpp pub xps
    """,
    "pdf": "pdf",
    "rtf": "rtf",
    "picture": "jpg jpeg jpe png gif bmp tif tiff webp svg ico",
    "html": "htm html xhtml shtml mht mhtml",
    "text": "txt csv log md ini conf cfg json yml yaml",
    "xml": "xml",
    "archive": "zip rar 7z gz tgz bz2 xz tar cab arj lzh iso img jar apk whl epub kmz crx xpi",
    "mail": "eml msg",
}
OPENS: dict[str, str] = {suffix: kind for kind, listed in _BY_KIND.items() for suffix in listed.split()}
"""The kind of file that an extension promises."""

_TYPES: dict[str, str] = {
    "application/x-dosexec": "program",
    "application/x-elf": "program",
    "application/x-mach-binary": "program",
    "application/x-msdownload": "program",
    "application/x-ole-storage": "office",
    "application/msword": "office",
    "application/vnd.ms-excel": "office",
    "application/vnd.ms-powerpoint": "office",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "text/rtf": "rtf",
    "text/html": "html",
    "application/zip": "archive",
    "application/vnd.rar": "archive",
    "application/x-7z-compressed": "archive",
    "application/gzip": "archive",
    "image/svg+xml": "picture",
    "message/rfc822": "mail",
}
_FAMILIES = {
    "image/": "picture",
    "application/vnd.openxmlformats-officedocument": "office",
    "application/vnd.oasis.opendocument": "office",
}


def kind_of_type(media_type: str) -> str:
    """The kind of file that a media type stands for; empty where it says nothing of use."""
    found = _TYPES.get(media_type, "")
    return found or next((kind for start, kind in _FAMILIES.items() if media_type.startswith(start)), "")


def is_program(head: bytes) -> bool:
    """Whether content begins as a program of some system does, or as a shortcut."""
    return head.startswith((b"MZ", b"\x7fELF", b"L\0\0\0\x01\x14\x02\0", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"))
