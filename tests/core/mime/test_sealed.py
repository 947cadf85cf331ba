"""Mail that cannot be read on the way: encrypted, in fragments, or somewhere else."""

import base64

import pytest

from mailward.mime import Message
from mailward.values.finding import Kind

ENVELOPED = bytes.fromhex("30820100 06092a864886f70d010703 a0820100 30820100".replace(" ", ""))
AUTH_ENVELOPED = bytes.fromhex("30820100 060b2a864886f70d0109100117 a0820100".replace(" ", ""))
SIGNED = bytes.fromhex(
    "30820100 06092a864886f70d010702 a0820100 30820100 020101 3100 30820010 06092a864886f70d010701 a08200".replace(
        " ", ""
    )
)
DETACHED = bytes.fromhex(
    "30820100 06092a864886f70d010702 a0820100 30820100 020101 3100 300b 06092a864886f70d010701 a08200".replace(" ", "")
)
ARMOR = b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n"
SIGNED_TEXT = b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nhi\r\n-----BEGIN PGP SIGNATURE-----\r\n"


def leaf(kind: bytes, body: bytes, name: bytes = b"", encode: bool = True) -> bytes:
    head = b"Content-Type: " + kind + (b'; name="' + name + b'"' if name else b"")
    if not encode:
        return head + b"\r\n\r\n" + body
    return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n")


def found(raw: bytes) -> list[tuple[Kind, str, str]]:
    mail = Message.from_bytes(raw)
    return [
        (finding.kind, finding.rule, finding.part) for finding in mail.defects if finding.kind is not Kind.MALFORMED
    ]


@pytest.mark.parametrize(
    "raw",
    [
        leaf(b"application/pkcs7-mime", ENVELOPED, b"smime.p7m"),
        leaf(b"application/x-pkcs7-mime", AUTH_ENVELOPED),
        leaf(b"application/pkcs7-mime; smime-type=enveloped-data", b"junk"),
        leaf(b"application/octet-stream", ENVELOPED, b"smime.P7M"),
        leaf(b"text/plain", b"see:\r\n" + ARMOR, encode=False),
        leaf(b"text/plain", ARMOR),
        leaf(b"text/html", b"<pre>\r\n" + ARMOR),
        leaf(b"application/octet-stream", ARMOR, b"a.asc"),
        leaf(b"application/octet-stream", b"\x85\x01\x0c\x03", b"report.pdf.pgp"),
        leaf(b"application/octet-stream", b"\xc1\xc0\x4c\x03", b"report.gpg"),
    ],
)
def test_what_is_encrypted_is_told(raw):
    assert found(raw) == [(Kind.ENCRYPTED, "encrypted", "1")]


@pytest.mark.parametrize("protocol", ["application/pgp-encrypted", "application/pkcs7-mime"])
def test_multipart_encrypted_is_told_once(protocol):
    body = b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
    raw = f"Content-Type: multipart/encrypted; protocol={protocol}; boundary=b\r\n\r\n".encode() + body
    raw += leaf(b"application/octet-stream", ARMOR, b"encrypted.asc", encode=False) + b"--b--\r\n"
    assert found(raw) == [(Kind.ENCRYPTED, "encrypted", "")]


@pytest.mark.parametrize(
    "raw",
    [
        leaf(b"application/pkcs7-mime; smime-type=signed-data", SIGNED, b"smime.p7m"),
        leaf(b"application/pkcs7-signature", DETACHED, b"smime.p7s"),
        leaf(b"text/plain", SIGNED_TEXT, encode=False),
        leaf(b"text/plain", b"the words -----BEGIN PGP MESSAGE----- in a line", encode=False),
        leaf(b"application/pgp-keys", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n", b"key.asc"),
        leaf(b"application/pgp-signature", b"-----BEGIN PGP SIGNATURE-----\r\n", b"signature.asc"),
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b--\r\n",
    ],
)
def test_what_is_only_signed_is_not_encrypted(raw):
    assert found(raw) == []


def test_signed_data_with_its_content_inside_is_a_container():
    assert Message.from_bytes(leaf(b"application/pkcs7-mime", SIGNED)).root.detected_type == "application/pkcs7-mime"
    detached = Message.from_bytes(leaf(b"application/pkcs7-signature", DETACHED)).root
    assert detached.detected_type == "application/pkcs7-signature"


def test_fragments_and_external_bodies_are_unchecked():
    assert found(leaf(b"message/partial; id=x; number=1", b"Subject: x\r\n\r\nhi", encode=False)) == [
        (Kind.UNCHECKED, "partial", "1")
    ]
    assert found(
        leaf(b"message/external-body; access-type=URL", b"Content-Type: text/plain\r\n\r\n", encode=False)
    ) == [(Kind.UNCHECKED, "external_body", "1")]


def test_both_halves_of_appledouble_are_parts():
    raw = b"Content-Type: multipart/appledouble; boundary=b\r\n\r\n--b\r\n"
    raw += leaf(b"application/applefile", b"\0\x05\x16\x07") + b"--b\r\n" + leaf(b"image/png", b"MZ") + b"--b--\r\n"
    mail = Message.from_bytes(raw)
    assert [part.content for part in mail.walk() if part.is_leaf] == [b"\0\x05\x16\x07", b"MZ"]
    assert mail.defects == []
