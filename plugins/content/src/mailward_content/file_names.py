r"""The file name rule (SAV-BLK-03, SAV-BLK-04, SMS-CONT-03).

Every name that any mail client could show for a part is looked at, and every name of every member
of a container.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailward import Masks, Part

_EXTENSIONS = (
    *("ad", "ade", "adp", "asp", "bas", "bat", "chm", "cmd", "com", "cpl", "crt", "exe", "hlp", "hta", "inf"),
    *("ins", "isp", "js", "jse", "lnk", "mdb", "mde", "msc", "msi", "msp", "mst", "pcd", "pif", "reg", "scr"),
    *("sct", "shb", "shs", "url", "vb", "vbe", "vbs", "vsd", "vss", "vst", "vsw", "ws", "wsc", "wsf", "wsh"),
)

DEFAULT_NAMES = tuple(f"*.{extension}" for extension in _EXTENSIONS)
"""The 45 masks of SAV-BLK-04."""

NAME_TEXT = "{{ filename or 'An attachment' }} was removed by {{ hostname }}: files named {{ mask }} are not allowed.\n"

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


def names_of(part: Part) -> list[str]:
    """Everything that a receiving system may make of the names of a part, without repetitions."""
    if not part.names:
        return []
    return list(dict.fromkeys(shape for name in part.names for shape in shapes(name.text, name.raw)))
