"""Archives that hide: passwords in the text, two contents in one file, headers that disagree, disk images."""

from __future__ import annotations

from collections.abc import Iterable

import re2

from mailward import Finding, Kind, Part
from mailward_antivirus.heuristics.kinds import RUNS
from mailward_antivirus.heuristics.trait import Traits, suffixes, trait

MAX_TEXT = 64 * 1024
_WORDS = (
    *("password", "passcode", "passphrase", "passwd", "pwd", "kennwort", "passwort", "mot de passe", "contraseña"),
    *("contrasena", "clave", "senha", "wachtwoord", "hasło", "haslo", "parola", "пароль", "密码", "密碼", "パスワード"),
)
_PASSWORD = re2.compile(
    f"(?i)(?:{'|'.join(_WORDS)})[^\\n]{{0,60}}?(?:[:=：]| is | ist | est | es )\\s*[\"'“«„]?([^\\s\"'”»<>]{{2,40}})"
)
_IMAGES = frozenset(
    ["application/x-iso9660-image", "application/x-vhd", "application/x-vhdx", "application/x-udf-image"]
)
_IMAGE_SUFFIXES = frozenset(["iso", "img", "vhd", "vhdx", "udf", "daa"])
_ARCHIVES = frozenset(["application/zip", "application/vnd.rar", "application/x-7z-compressed"])
_OLE = "application/x-ole-storage"
_RULES = {
    "zip_prefix": "polyglot",
    "zip_hidden": "disagreeing_headers",
    "zip_headers": "disagreeing_headers",
    "zip_overlap": "disagreeing_headers",
    "zip_directory": "disagreeing_headers",
}
"""Findings of the core about an archive's structure, and the traits that they are."""

_PNG_END = b"IEND\xaeB`\x82"
_TAIL_BYTES = 64
_MAX_PICTURE = 8 * 1024 * 1024
_MAX_MEMBERS = 2000


def password_in(text: str) -> str:
    """What a text calls a password; empty where it names none."""
    match = _PASSWORD.search(text[:MAX_TEXT])
    return str(match[1]) if match else ""


def inspect_encrypted(password: str) -> Traits:
    """An encrypted archive in a message that tells its password: nobody but the reader is meant to look into it."""
    if password:
        yield trait("password_in_text", f"the text names a password of {len(password)} characters")


def inspect_structure(part: Part, findings: Iterable[Finding]) -> Traits:
    """What the core found about an archive's structure."""
    if part.detected_type == _OLE:
        # Office itself puts small archives (themes, newer forms of a drawing) into its older documents.
        return
    for finding in findings:
        if finding.kind is Kind.AMBIGUOUS and finding.rule in _RULES:
            yield trait(_RULES[finding.rule], finding.detail)


def inspect_tail(part: Part) -> Traits:
    """Data behind the end of a picture."""
    if part.size > _MAX_PICTURE:
        return
    data = part.content
    place = data.rfind(_PNG_END)
    behind = len(data) - place - len(_PNG_END)
    if place >= 0 and behind > _TAIL_BYTES:
        yield trait("appended_data", f"{behind} bytes behind the picture")


def is_disk_image(part: Part) -> bool:
    """Whether the part is an image of a disk, by content or name."""
    return part.detected_type in _IMAGES or any(one in _IMAGE_SUFFIXES for one in suffixes(part))


def inspect_disk_image(part: Part) -> Traits:
    """A disk image, where it lies, and what it holds."""
    yield trait("disk_image", part.filename)
    if part.parent is not None and part.parent.detected_type in _ARCHIVES:
        yield trait("disk_image_packed", part.parent.filename)
    program = next((child for child in part.children[:_MAX_MEMBERS] if RUNS.intersection(suffixes(child))), None)
    if program is not None:
        yield trait("disk_image_program", program.filename)
