"""Text from outside, made fit to be shown: in sentences, logs and on terminals."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
MAX_CHARS = 200


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    """``text`` on one line, without control or direction characters, cut at ``max_chars`` with an ellipsis."""
    clean = text if text.isprintable() else _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= max_chars else clean[:max_chars] + "…"
