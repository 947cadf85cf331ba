"""The settings of the archives plugin."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from mailward import ByteSize, Seconds, between, setting

FORMATS = (
    *("tar", "gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "lzip", "compress", "zip", "7z", "rar", "cab", "arj", "lha"),
    *("iso", "cpio", "ar", "rpm", "chm", "szdd", "sis", "image", "dmg", "ole", "onenote", "rtf", "pdf", "tnef", "mbox"),
    *("cms", "applefile", "yenc", "data_uri", "base64", "calendar", "pgp", "pe", "autoit", "hidden"),
)
"""The names of the formats, as the settings say them."""


def _formats(instance: object, attribute: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in FORMATS:
            raise ValueError(f"{name!r} is no format; allowed: {', '.join(FORMATS)}")


@frozen
class ArchivesSettings:
    """``[archives]``: which containers are opened, and what the program beside us may use."""

    without: tuple[str, ...] = setting((), validator=_formats, help="formats that are not opened")
    emulate: bool = setting(
        False, help="run the packers of packed programs in an emulated processor, to see what they hide"
    )
    try_passwords: bool = setting(
        False, help="try words of the message as passwords of encrypted archives and documents in it"
    )
    program_timeout_s: Seconds = setting(
        Seconds(20.0), validator=between(1, 600), help="time for one call of the 7-Zip program"
    )
    program_memory_bytes: ByteSize = setting(
        ByteSize(1024 * 1024 * 1024),
        validator=between(64 * 1024 * 1024, 64 * 1024**3),
        help="memory for one call of the 7-Zip program",
    )

    def reads(self, name: str) -> bool:
        """Whether the format ``name`` is opened."""
        return name not in self.without
