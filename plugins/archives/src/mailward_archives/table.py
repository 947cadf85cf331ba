"""Which reader opens which type: one row a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from mailward import Finding, Member, Part
from mailward_archives import (
    applefile,
    arj,
    cms,
    dmg,
    iso,
    libarchive,
    mbox,
    ole,
    onenote,
    pdf,
    pe,
    rar,
    rtf,
    seven,
    sevenzip,
    sis,
    streams,
    szdd,
    tar,
    tnef,
    zips,
)
from mailward_archives.settings import ArchivesSettings

Answer = Iterator[Member | Finding] | None
Reader = Callable[[Part, ArchivesSettings], Answer]


@frozen
class Format:
    """One format: its name in the settings, the detected types it is told by, its reader.

    ``missing`` names what the reader needs and does not find; empty when it can read. ``required``
    formats are reported when they cannot be read; others are containers only in part.
    """

    name: str
    types: tuple[str, ...]
    reader: Reader
    missing: Callable[[], str] = lambda: ""


def _plain(reader: Callable[[Part], Answer]) -> Reader:
    return lambda part, settings: reader(part)


def _program(name: str, kind: str) -> Reader:
    def read(part: Part, settings: ArchivesSettings) -> Answer:
        limits = settings.program_timeout_s, settings.program_memory_bytes
        return sevenzip.SevenZip(name, kind, *limits)(part)

    return read


_IMAGES = (
    *("application/x-ms-wim", "application/x-vhd", "application/x-vhdx", "application/x-xar", "application/x-squashfs"),
    *("application/x-disk-image", "application/x-ntfs-image", "application/x-vmdk", "application/x-qcow"),
)

FORMATS = (
    Format("tar", ("application/x-tar",), _plain(tar.read_tar)),
    Format("gzip", ("application/gzip",), _plain(streams.read_gzip)),
    Format("bzip2", ("application/x-bzip2",), _plain(streams.read_bzip2)),
    Format("xz", ("application/x-xz",), _plain(streams.read_xz)),
    Format("lzma", ("application/x-lzma",), _plain(streams.read_lzma)),
    Format("zstd", ("application/zstd",), _plain(libarchive.ZSTD), libarchive.missing),
    Format("lz4", ("application/x-lz4",), _plain(libarchive.LZ4), libarchive.missing),
    Format("lzip", ("application/x-lzip",), _plain(libarchive.LZIP), libarchive.missing),
    Format("compress", ("application/x-compress",), _plain(libarchive.COMPRESS), libarchive.missing),
    Format("zip", ("application/zip",), zips.read_zip),
    Format("7z", ("application/x-7z-compressed",), seven.read_7z, libarchive.missing),
    Format("rar", ("application/vnd.rar",), rar.read_rar, libarchive.missing),
    Format("cab", ("application/vnd.ms-cab-compressed",), _plain(libarchive.CAB), libarchive.missing),
    Format("arj", ("application/x-arj",), arj.read_arj, sevenzip.missing),
    Format("lha", ("application/x-lzh-compressed",), _plain(libarchive.LHA), libarchive.missing),
    Format("iso", ("application/x-iso9660-image",), iso.read_iso, libarchive.missing),
    Format("cpio", ("application/x-cpio",), _plain(libarchive.CPIO), libarchive.missing),
    Format("ar", ("application/x-archive",), _plain(libarchive.AR), libarchive.missing),
    Format("rpm", ("application/x-rpm",), _plain(libarchive.RPM), libarchive.missing),
    Format("chm", ("application/vnd.ms-htmlhelp",), _program("chm", "chm"), sevenzip.missing),
    Format("image", _IMAGES, _program("image", ""), sevenzip.missing),
    Format("dmg", (dmg.APPLE_TYPE,), dmg.read_dmg, sevenzip.missing),
    Format("szdd", ("application/x-ms-szdd",), _plain(szdd.read_szdd)),
    Format("sis", ("application/vnd.symbian.install",), _plain(sis.read_sis)),
    Format("ole", ("application/x-ole-storage",), ole.read_ole),
    Format("onenote", ("application/onenote",), _plain(onenote.read_onenote)),
    Format("rtf", ("application/rtf",), _plain(rtf.read_rtf)),
    Format("pdf", ("application/pdf",), pdf.read_pdf, pdf.missing),
    Format("tnef", ("application/vnd.ms-tnef",), _plain(tnef.read_tnef)),
    Format("cms", ("application/pkcs7-mime", "application/pkcs7-signature"), _plain(cms.read_cms)),
    Format("applefile", ("application/applefile",), _plain(applefile.read_applefile)),
    Format("mbox", ("application/mbox",), _plain(mbox.read_mbox)),
    Format("mbox", ("message/rfc822",), _plain(mbox.read_mail)),
    Format("pe", ("application/x-dosexec",), pe.read_pe),
)
"""All formats that are told by type; those inside texts are looked for by `read_text`."""

BY_TYPE = {kind: one for one in FORMATS for kind in one.types}
