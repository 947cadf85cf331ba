r"""The file name rule (SAV-BLK-03, SAV-BLK-04, SMS-CONT-03).

Every name that any mail client could show for a part is looked at, and every name of every member
of a container. What is acted on is the attachment: a hit inside an archive takes the whole archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from mailward import Action, Masks, Message, Part, PartKind, Template
from mailward_content.rule import Hit

_EXTENSIONS = (
    *("ad", "ade", "adp", "asp", "bas", "bat", "chm", "cmd", "com", "cpl", "crt", "exe", "hlp", "hta", "inf"),
    *("ins", "isp", "js", "jse", "lnk", "mdb", "mde", "msc", "msi", "msp", "mst", "pcd", "pif", "reg", "scr"),
    *("sct", "shb", "shs", "url", "vb", "vbe", "vbs", "vsd", "vss", "vst", "vsw", "ws", "wsc", "wsf", "wsh"),
)

DEFAULT_NAMES = tuple(f"*.{extension}" for extension in _EXTENSIONS)
"""The 45 masks of SAV-BLK-04."""

DEFAULT_TEXT = (
    "{{ filename or 'An attachment' }} was removed by {{ hostname }}: files named {{ mask }} are not allowed.\n"
)

MAX_NAMED = 5
"""How many matching names the detail of one finding spells out; the others are counted."""

_WILD_ONLY = re.compile(r"[*?.\s]*")


def check_masks(masks: Masks) -> None:
    """Raise ValueError where a mask would match every file name (SAV-BLK-03)."""
    for mask in masks:
        if _WILD_ONLY.fullmatch(mask):
            raise ValueError(f"{mask!r} matches every file name; allowed: as in 'badnews.doc', '*.exe' or 'name.*'")


def shapes(text: str, raw: str) -> Iterator[str]:
    r"""What a receiving system may make of a name: without folders, invisible characters, dots at its end.

    ``text`` and ``raw`` are those of a part's name. Beyond what the former says, NTFS takes what
    follows a colon for a stream (``a.exe::$DATA``), and what follows a NUL is lost where strings end
    at one.
    """
    yield text
    if ":" in text:
        yield text.partition(":")[0].rstrip(". ")
    if "\0" in raw:
        yield raw.partition("\0")[0].replace("\\", "/").rpartition("/")[2].rstrip(". ")


def attachment_of(part: Part) -> Part:
    """The attachment that ``part`` belongs to: itself, or the outermost archive that it lies in.

    Messages, multiparts and uuencoded files are no archives: what lies in them is an attachment.
    """
    found, node = part, part
    while node.parent is not None:
        if node.kind is PartKind.MEMBER:
            found = node.parent
        node = node.parent
    return found


@frozen
class FileNames:
    """The rule with its settings."""

    masks: Masks
    action: Action
    text: Template
    name: str = "file_name"

    def look(self, message: Message) -> Iterator[Hit]:
        """One hit for each attachment that holds a matching name, in the order of the message."""
        struck: dict[str, tuple[Part, list[tuple[str, str]]]] = {}
        for part in message.walk():
            found = self._match(part)
            if found:
                attachment = attachment_of(part)
                where = "" if part is attachment else f" ({part.path})"
                hit = (found[0], f"{found[1]!r}{where} matches {found[0]}")
                struck.setdefault(attachment.path, (attachment, []))[1].append(hit)
        for attachment, hits in struck.values():
            more = f", and {len(hits) - MAX_NAMED} more" if len(hits) > MAX_NAMED else ""
            yield Hit(attachment, hits[0][0], ", ".join(detail for _, detail in hits[:MAX_NAMED]) + more)

    def _match(self, part: Part) -> tuple[str, str] | None:
        """The first mask that any name of the part matches, and that name."""
        for name in part.names:
            for shape in shapes(name.text, name.raw):
                mask = self.masks.which(shape)
                if mask is not None:
                    return mask, shape
        return None
