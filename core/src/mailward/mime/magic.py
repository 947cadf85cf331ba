"""Types by content: what the first bytes of a part say, whatever its name and header claim."""

from __future__ import annotations

import re

HEAD_BYTES = 1088
"""How many bytes `detect` looks at."""
TAIL_BYTES = 512
"""How many bytes `is_apple_image` looks at."""
APPLE_IMAGE = "application/x-apple-diskimage"
_KOLY = b"koly\x00\x00\x00\x04\x00\x00\x02\x00"

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"PK\x07\x08PK\x03\x04", "application/zip"),
    (b"MZ", "application/x-dosexec"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"RE~^", "application/vnd.rar"),  # before version 1.50
    (b"pbze\x00", "application/x-apple-archive"),
    (b"pbzx\x00", "application/x-apple-archive"),
    (b"pbzz\x00", "application/x-apple-archive"),
    (b"pbz4\x00", "application/x-apple-archive"),
    (b"pbzb\x00", "application/x-apple-archive"),
    (b"pbz-\x00", "application/x-apple-archive"),
    (b"7kSt\xa0\x31\x83\xd3", "application/x-zpaq"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x1f\x9d", "application/x-compress"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"LZIP\x01", "application/x-lzip"),
    (b"LRZI\x00", "application/x-lrzip"),
    (b"\x89LZO\x00\r\n\x1a\n", "application/x-lzop"),
    (b"ALZ\x01", "application/x-alz"),
    (b"EGGA\x00", "application/x-egg"),
    (b"SIT!", "application/x-stuffit"),
    (b"StuffIt (c)", "application/x-stuffit"),
    (b"ZOO ", "application/x-zoo"),
    (b"!BDN", "application/vnd.ms-outlook-pst"),
    (b"\xcf\xad\x12\xfe", "application/x-outlook-express"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"ISc(", "application/x-installshield"),
    (b"\x60\xea", "application/x-arj"),
    (b"ITSF", "application/vnd.ms-htmlhelp"),
    (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"]\x00\x00", "application/x-lzma"),
    (b"070701", "application/x-cpio"),
    (b"070702", "application/x-cpio"),
    (b"070707", "application/x-cpio"),
    (b"\xc7\x71", "application/x-cpio"),
    (b"\x71\xc7", "application/x-cpio"),
    (b"!<arch>\n", "application/x-archive"),
    (b"\xed\xab\xee\xdb", "application/x-rpm"),
    (b"SZDD\x88\xf0'3", "application/x-ms-szdd"),
    (b"KWAJ\x88\xf0'\xd1", "application/x-ms-szdd"),
    (b"(This file must be converted with BinHex", "application/mac-binhex40"),
    (b"MSWIM\x00\x00\x00", "application/x-ms-wim"),
    (b"conectix\x00\x00", "application/x-vhd"),
    (b"vhdxfile", "application/x-vhdx"),
    (b"xar!\x00", "application/x-xar"),
    (b"hsqs", "application/x-squashfs"),
    (b"sqsh\x00", "application/x-squashfs"),
    (b"\x45\x3d\xcd\x28", "application/x-disk-image"),
    (_KOLY, APPLE_IMAGE),
    (b"encrcdsa", APPLE_IMAGE),
    (b"sprs\x00\x00\x00\x03", APPLE_IMAGE),
    (b"ER\x02\x00", "application/x-disk-image"),
    (b"KDMV", "application/x-vmdk"),
    (b"QFI\xfb\x00\x00\x00", "application/x-qcow"),
    (b"QED\x00", "application/x-disk-image"),
    (b"WithoutFreeSpace", "application/x-disk-image"),
    (b"WithouFreSpacExt", "application/x-disk-image"),
    (b"\xebR\x90NTFS    ", "application/x-ntfs-image"),
    (b"\xebv\x90EXFAT   \x00", "application/x-disk-image"),
    (b"\x00\x00\x00ReFS\x00", "application/x-disk-image"),
    (b"\x00\x05\x16\x00", "application/applefile"),
    (b"{\\rt", "application/rtf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%!PS", "application/postscript"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"dex\n", "application/x-dex"),
    (b"\x00asm", "application/wasm"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"-----BEGIN PGP", "application/pgp"),
    (b"#!", "text/x-script"),
)
_LONGEST = max(len(signature) for signature, _ in _SIGNATURES)
_FIRST_BYTES = frozenset(signature[0] for signature, _ in _SIGNATURES)
_BY_FIRST = {
    first: tuple((signature, kind) for signature, kind in _SIGNATURES if signature[0] == first)
    for first in _FIRST_BYTES
}
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html|head|body|script|iframe|table)\b",
    re.I | re.S,
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml\b")
_SVG = re.compile(rb"<svg\b", re.I)
# Programs that open mails and web archives pass over blank lines and a byte order mark before the first field.
_MAIL_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>[ \t]*+\r?\n)*+(?:From \S[^\n]*\n)?(?:Return-Path|Received|Message-ID|Delivered-To"
    rb"|MIME-Version|DKIM-Signature|From|To|Date|Subject|Content-(?:Type|Transfer-Encoding|Location|Disposition|ID)"
    rb"|Snapshot-Content-Location|X-[A-Za-z-]+):[ \t\r]",
    re.I,
)
_MAIL_FIELD = re.compile(
    rb"\n(?:From|To|Subject|Date|Received|Message-ID|MIME-Version|Content-Type|Content-Transfer-Encoding):", re.I
)
_MULTIPART = re.compile(rb"(?:\A|\n)Content-Type:\s*+multipart/", re.I)
_MBOX = re.compile(rb"From [^\r\n]+\r?\n(?:>?[!-9;-~]+:)")
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x19\x1c-\x1f]")
_PDF_WITHIN = 1024
_APPLE_ARCHIVE = re.compile(rb"(?:AA01|YAA1).[\x00-\x1f][A-Z]{3}", re.S)
_BLOCK_BYTES = 512
_CHECKSUM = re.compile(rb" *+0*+([0-7]{1,7})[ \0]")
_CHECKSUM_STARTS = frozenset((b" ", *(b"%d" % digit for digit in range(8))))
_SECTOR_BYTES = (512, 1024, 2048, 4096)
_APPLE_SEALED = b"cdsaencr"
_HFS_PLUS = (b"H+\x00\x04", b"HX\x00\x05")
_VIRTUAL_BOX = b"\x7f\x10\xda\xbe"
_EXT, _EXT_MOST_BLOCK_SHIFT = b"\x53\xef", 6
_COMPRESSED_DATA = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"
_SIGNED_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
# The type of the signed content with nothing behind it: a detached signature.
_DETACHED = re.compile(
    rb"\x30(?:\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01|\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\x00\x00)"
)


def is_binary(head: bytes) -> bool:
    """Whether the first bytes of a content hold control characters that no text has."""
    return _BINARY.search(head) is not None


def detect(head: bytes) -> str:
    """The media type that the first bytes of a content show, empty where they show none.

    ``head``: the first `HEAD_BYTES` bytes or fewer. Plain text is not told from unknown.
    """
    if not head:
        return ""
    # What tells these stands behind bytes that their maker may choose: a name, a checksum.
    if head[257:262] == b"ustar" or (head[148:149] in _CHECKSUM_STARTS and _is_tar(head)):
        return "application/x-tar"
    if head[2:4] == b"-l" and head[6:7] == b"-":
        return "application/x-lzh-compressed"
    if head[7:14] == b"**ACE**":
        return "application/x-ace-compressed"
    for signature, kind in _BY_FIRST.get(head[0], ()):
        if head.startswith(signature):
            return kind
    if _APPLE_ARCHIVE.match(head):
        return "application/x-apple-archive"
    # The first element is the type, behind a length that may have any number of leading zeros (X.690 8.1.3.5).
    inside = head[_behind_length(head) :] if head[0] == 0x30 else b""
    if inside.startswith(_COMPRESSED_DATA):
        return "application/pkcs7-mime"
    if inside.startswith(_SIGNED_DATA):
        return "application/pkcs7-signature" if _DETACHED.search(head) else "application/pkcs7-mime"
    if head[:4] == b"RIFF":
        return {b"WAVE": "audio/x-wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[8:12] == b"\x19\x04\x00\x10":
        return "application/vnd.symbian.install"
    if (head[510:512] == b"\x55\xaa" and _is_disk(head)) or _is_apple_volume(head) or _is_other_image(head):
        return "application/x-disk-image"
    if head.startswith(b"From ") and _MBOX.match(head):
        return "application/mbox"
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return "application/pdf"
    return _detect_text(head)


def _behind_length(head: bytes) -> int:
    """Where the content of the ASN.1 element at the beginning starts."""
    first = head[1] if len(head) > 1 else 0
    return 2 + (first & 0x7F if first & 0x80 else 0)


def _is_tar(head: bytes) -> bool:
    """Whether the checksum of a tape archive's first header is right: the oldest archives have no other mark."""
    match = _CHECKSUM.match(head, 148)
    return match is not None and int(match[1], 8) == sum(head[:148]) + sum(head[156:_BLOCK_BYTES]) + 8 * 0x20


def _is_disk(head: bytes) -> bool:
    """Whether a boot sector ends at byte 512: of a FAT or NTFS volume, or the partition table of a disk."""
    if head[0] in (0xEB, 0xE9) and int.from_bytes(head[11:13], "little") in _SECTOR_BYTES:
        return True
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    sound = all(entry[0] in (0x00, 0x80) for entry in entries)
    return sound and any(entry[4] and any(entry[12:16]) for entry in entries)


def _is_apple_volume(head: bytes) -> bool:
    """Whether a volume of APFS, HFS+ or HFS begins here (Apple Technical Note TN1150; Inside Macintosh: Files 2-60)."""
    mark = head[1024:1028]
    if mark[:2] == b"BD":
        block_bytes = int.from_bytes(head[1044:1048], "big")
        return block_bytes > 0 and block_bytes % 512 == 0
    return mark in _HFS_PLUS or head[32:36] == b"NXSB"


def _is_other_image(head: bytes) -> bool:
    """Whether it is an image of VirtualBox, or a volume of ext2 to ext4 (its mark, and a block size that there is)."""
    if head[64:68] == _VIRTUAL_BOX:
        return True
    return head[1080:1082] == _EXT and int.from_bytes(head[1048:1052], "little") <= _EXT_MOST_BLOCK_SHIFT


def is_apple_image(tail: bytes) -> bool:
    """Whether content that ends with ``tail``, its last `TAIL_BYTES` bytes, is a disk image of Apple (UDIF).

    The system reads such a file from its end, so its beginning may show anything.
    """
    return tail.startswith(_KOLY) or tail.endswith(_APPLE_SEALED)


def _detect_text(head: bytes) -> str:
    if _HTML.match(head):
        return "text/html"
    if _XML.match(head):
        return "image/svg+xml" if _SVG.search(head) else "application/xml"
    start = _MAIL_START.match(head)
    if start is not None and (_MAIL_FIELD.search(head, start.end()) or _MULTIPART.search(head)):
        return "message/rfc822"
    return ""
