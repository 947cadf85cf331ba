"""What counts as a container: content that holds other files, so that not opening it is not checking it."""

from __future__ import annotations

CONTAINER_TYPES = frozenset(
    {
        "application/zip",
        "application/gzip",
        "application/x-7z-compressed",
        "application/vnd.rar",
        "application/x-bzip2",
        "application/x-xz",
        "application/zstd",
        "application/x-compress",
        "application/vnd.ms-cab-compressed",
        "application/x-installshield",
        "application/x-arj",
        "application/vnd.ms-htmlhelp",
        "application/vnd.ms-tnef",
        "application/x-tar",
    }
)
"""Detected types of containers. One that no reader opened is found unchecked, rule ``unopened``."""
