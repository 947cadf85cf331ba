"""What counts as a container: content that holds other files, so that not opening it is not checking it."""

from __future__ import annotations

CONTAINER_TYPES = frozenset(
    {
        "application/zip",
        "application/pkcs7-mime",
        "application/applefile",
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
        "application/x-lzma",
        "application/x-lzh-compressed",
        "application/x-ace-compressed",
        "application/x-cpio",
        "application/x-archive",
        "application/x-rpm",
        "application/x-ms-szdd",
        "application/x-ms-wim",
        "application/x-vhd",
        "application/x-vhdx",
        "application/x-vmdk",
        "application/x-qcow",
        "application/x-ntfs-image",
        "application/x-xar",
        "application/x-squashfs",
        "application/vnd.symbian.install",
        "application/mac-binhex40",
        "application/mbox",
    }
)
"""Detected types of containers. One that no reader opened is found unchecked, rule ``unopened``."""
