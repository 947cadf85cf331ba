"""Disarming: which content is disarmed how."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mailward import Part
from mailward_antivirus.disarm.html import disarm_html_bytes
from mailward_antivirus.disarm.ole import disarm_ole
from mailward_antivirus.disarm.ooxml import disarm_ooxml
from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed
from mailward_antivirus.disarm.pdf import disarm_pdf
from mailward_antivirus.disarm.rtf import disarm_rtf
from mailward_antivirus.heuristics.assess import is_document
from mailward_antivirus.heuristics.trait import suffixes

MAX_BYTES = 100 * 1024 * 1024
_PAGE_TYPES = frozenset(["text/html", "image/svg+xml"])
_PAGES = frozenset(["htm", "html", "shtml", "xhtml", "svg"])
_BY_TYPE: dict[str, Callable[[bytes], Disarmed]] = {
    "application/x-ole-storage": disarm_ole,
    "application/rtf": disarm_rtf,
    "application/pdf": disarm_pdf,
}


def can_disarm(part: Part) -> bool:
    """Whether it is a kind of content that can be disarmed; nothing is opened."""
    return _way(part) is not None


def disarm(part: Part) -> Disarmed:
    """The content of a part without what is active in it. Raises CannotDisarm with the reason."""
    way = _way(part)
    if way is None:
        raise CannotDisarm("not a kind of content that can be disarmed")
    if part.size > MAX_BYTES:
        raise CannotDisarm("too large")
    return way(part.content)


def _way(part: Part) -> Callable[[bytes], Disarmed] | None:
    kind = part.detected_type
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if kind == "application/zip":
        return disarm_ooxml if is_document(part) else None
    if kind in _PAGE_TYPES or (not kind and _PAGES.intersection(suffixes(part))):
        return partial(disarm_html_bytes, charset=part.charset)
    return None
