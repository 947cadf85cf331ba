"""What TLSA records need of a certificate: its public key, cut out of the DER (RFC 5280 section 4.1)."""

from __future__ import annotations

from typing import Any

_SEQUENCE = 0x30
_VERSION = 0xA0
_BEFORE_KEY = 5
"""Fields of a TBSCertificate from the serial number to the subject."""


class CertificateError(ValueError):
    """Bytes are no certificate."""


def _element(der: bytes, start: int) -> tuple[int, int, int]:
    """Tag, beginning of the contents and end of the element at ``start`` (X.690 section 8.1)."""
    if start + 2 > len(der):
        raise CertificateError("the certificate is cut short")
    tag, length, at = der[start], der[start + 1], start + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise CertificateError("the certificate has a length that it may not have")
        length = int.from_bytes(der[at : at + octets], "big")
        at += octets
    if at + length > len(der):
        raise CertificateError("the certificate is cut short")
    return tag, at, at + length


def public_key(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, as it stands there. Raises CertificateError."""
    _, at, _ = _element(der, 0)
    _, at, _ = _element(der, at)
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        at = end
    for _ in range(_BEFORE_KEY):
        _, _, at = _element(der, at)
    tag, _, end = _element(der, at)
    if tag != _SEQUENCE:
        raise CertificateError("the certificate has no public key where it should be")
    return der[at:end]


def shown_chain(shown: Any) -> tuple[bytes, ...]:
    """The certificates (DER) that a TLS peer showed, its own first, none of them verified.

    ``shown`` is the SSL object of a connection.
    """
    if hasattr(shown, "get_unverified_chain"):  # Python 3.13 and later
        return tuple(shown.get_unverified_chain())
    import _ssl

    inner = getattr(shown, "_sslobj", None)
    found = inner.get_unverified_chain() if inner is not None else None
    return tuple(one.public_bytes(_ssl.ENCODING_DER) for one in found or ())
