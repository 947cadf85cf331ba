"""Messages to send."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile

# In pieces, so that no file of the project is itself a hit.
EICAR = b"".join((b"X5O!P%@AP[4\\PZX54(P^)7", b"CC)7}$EICAR-STAND", b"ARD-ANTIVIRUS-TEST-", b"FILE!$H+H*"))
BOUNDARY = b"=_part-of-a-test"


def head(subject: str = "a test", *fields: bytes) -> bytes:
    """A header block without the empty line after it."""
    lines = (
        b"From: Author <author@sender.example>",
        b"To: Reader <reader@house.example>",
        b"Subject: " + subject.encode(),
        b"Date: Mon, 02 Nov 2026 10:00:00 +0000",
        b"Message-ID: <1@sender.example>",
        *fields,
    )
    return b"".join(line + b"\r\n" for line in lines)


def plain(body: bytes = b"Good day.\r\n", subject: str = "a test") -> bytes:
    """A message of one part."""
    return head(subject) + b"\r\n" + body


def attachment(content: bytes, name: str = "file.bin", encoding: str = "base64") -> bytes:
    """An attachment as a part."""
    encoded = wrap(base64.b64encode(content)) if encoding == "base64" else content + b"\r\n"
    return (
        f'Content-Type: application/octet-stream; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode() + encoded


def wrap(text: bytes) -> bytes:
    """Lines of 76 characters."""
    return b"".join(text[at : at + 76] + b"\r\n" for at in range(0, len(text), 76))


TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nSee the attachment.\r\n"


def parts(*inner: bytes, subject: str = "a test", boundary: bytes = BOUNDARY) -> bytes:
    """A multipart message of these parts."""
    kind = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"'
    rows = b"".join(b"--" + boundary + b"\r\n" + part for part in inner)
    return head(subject, b"MIME-Version: 1.0", kind) + b"\r\n" + rows + b"--" + boundary + b"--\r\n"


def zipped(content: bytes, name: str = "inner.dat") -> bytes:
    """An archive with one member."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return archive.getvalue()


def uuencoded(content: bytes, name: str = "old.dat") -> bytes:
    """A text with an uuencoded file in it."""
    rows = b"".join(binascii.b2a_uu(content[at : at + 45])[:-1] + b"\r\n" for at in range(0, len(content), 45))
    return b"Here it is.\r\n\r\nbegin 644 " + name.encode() + b"\r\n" + rows + b"`\r\nend\r\n\r\nRegards.\r\n"


def nested(inner: bytes) -> bytes:
    """A forwarded message as a part."""
    return b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + inner


INFECTED: dict[str, bytes] = {
    "plain": parts(TEXT, attachment(EICAR, "virus.dat", "7bit")),
    "base64": parts(TEXT, attachment(EICAR, "virus.dat")),
    "zip": parts(TEXT, attachment(zipped(EICAR), "files.zip")),
    "nested": parts(TEXT, nested(parts(TEXT, attachment(EICAR, "virus.dat"), boundary=b"=_within"))),
    "uuencode": plain(uuencoded(EICAR)),
}
"""The test virus in five wrappings."""

VIRUS = INFECTED["base64"]
CLEAN = parts(TEXT, attachment(b"nothing of interest", "notes.dat"))
