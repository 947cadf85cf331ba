"""Sealed content: encrypted mail that nobody between sender and recipient can look into (RFC 1847, 8551, 9580)."""

from __future__ import annotations

from mailward.mime.content import is_identity
from mailward.mime.part import Part

_ENVELOPED = (
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",  # envelopedData
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06",  # encryptedData
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",  # authEnvelopedData
)
_ENVELOPED_WITHIN = 64
_SMIME_TYPES = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_PGP_NAMES = (".pgp", ".gpg", ".asc")
_ARMOR = b"-----BEGIN PGP MESSAGE"
_ARMOR_WITHIN = 4096
_SESSION_KEYS = frozenset((0x84, 0x85, 0x86, 0x8C, 0x8D, 0x8E, 0xC1, 0xC3))
"""First bytes of OpenPGP packets with a session key, which open an encrypted message."""


def sealed(part: Part) -> str:
    """How a part is encrypted, empty where it is not. What is signed and no more is not sealed."""
    kind = part.declared_type
    if kind == "multipart/encrypted":
        return f"multipart/encrypted, {part.parameters.get('protocol')[:64] or 'of no named protocol'} (RFC 1847)"
    if part.parent is not None and part.parent.declared_type == "multipart/encrypted":
        return ""
    if kind.startswith("text/"):
        return "an OpenPGP message in a text" if _has_armor(part) else ""
    if not kind.startswith("application/"):
        return ""
    name = part.filename.lower()
    if kind in _SMIME_TYPES or name.endswith(".p7m"):
        head = part.head(_ENVELOPED_WITHIN)
        said = part.parameters.get("smime-type").lower() in ("enveloped-data", "authenveloped-data")
        return "S/MIME" if said or any(oid in head for oid in _ENVELOPED) else ""
    if name.endswith(_PGP_NAMES) or kind == "application/pgp":
        head = part.head(_ARMOR_WITHIN)
        return "OpenPGP" if _ARMOR in head or (head and head[0] in _SESSION_KEYS) else ""
    return ""


def _has_armor(part: Part) -> bool:
    place = part.place
    if is_identity(part.encoding):
        hit = place.source.find(_ARMOR, place.body, place.body_end)
        return hit == place.body or (hit > place.body and place.source.data[hit - 1] == 0x0A)
    return part.is_small and (part.content.startswith(_ARMOR) or b"\n" + _ARMOR in part.content)
