"""Libraries that come with an extra: whether they are here, and which extra brings them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

EXTRAS = {"oletools": "office", "msoffcrypto": "office", "pikepdf": "pdf", "selectolax": "html"}
"""The extra of ``mailward-antivirus`` that brings each."""


@cache
def is_here(library: str) -> bool:
    """Whether a library is installed."""
    return find_spec(library) is not None


def missing() -> tuple[str, ...]:
    """The libraries that are not installed."""
    return tuple(library for library in EXTRAS if not is_here(library))
