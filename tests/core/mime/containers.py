"""Containers to put into messages, and readers for those that a plugin reads: tar and gzip."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator

from mailward.mime import Limits, Member, MemberError, Message, Part, unpack_zip
from mailward.values.finding import Finding

TIME = (2024, 2, 29, 12, 30, 58)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> bytes:
    """A zip; ``streamed``: sizes stand behind the data, as programs that cannot seek write them."""
    target = Unseekable() if streamed else io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for number, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name, TIME)
            info.external_attr = (0o100640 + number % 8) << 16
            archive.writestr(info, data, compress_type=method)
        archive.comment = b"a comment"
    return target.getvalue()


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def tarred(*members: tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for number, (name, data) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode, info.uname = len(data), 1_700_000_000 + number, 0o640, "owner"
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def gzipped(name: str, data: bytes) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=target, mtime=1_700_000_000) as file:
        file.write(data)
    return target.getvalue()


def read_tar(part: Part) -> Iterator[Member] | None:
    return _tar_members(part) if part.detected_type == "application/x-tar" else None


def _tar_members(part: Part) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=io.BytesIO(part.content)) as archive:
            for info in archive:
                if (file := archive.extractfile(info)) is not None:
                    yield Member(info.name, [file.read()])
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError) as error:
        raise MemberError(str(error)) from error


def read_gzip(part: Part) -> Iterator[Member] | None:
    if part.detected_type != "application/gzip":
        return None
    return iter([Member(part.filename.removesuffix(".gz"), _gunzipped(part))])


def _gunzipped(part: Part) -> Iterator[bytes]:
    try:
        yield gzip.decompress(part.content)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise MemberError(str(error)) from error


def attached(data: bytes, name: str = "a.bin", end: bytes = b"\r\n", columns: int = 76) -> bytes:
    """A message of a text and an attachment in base64."""
    encoded = base64.b64encode(data)
    lines = [encoded[at : at + columns] for at in range(0, len(encoded), columns)]
    head = [
        b"Subject: hello",
        b"MIME-Version: 1.0",
        b"Content-Type: multipart/mixed; boundary=limit",
        b"",
        b"--limit",
        b"",
        b"Good day.",
        b"--limit",
        b"Content-Type: application/octet-stream; name=" + name.encode(),
        b"Content-Transfer-Encoding: base64",
        b"Content-Disposition: attachment",
        b"",
    ]
    return end.join([*head, *lines, b"--limit--", b""])


def opened(raw: bytes, **limits: int) -> tuple[Message, list[Finding]]:
    """The message with every container in it opened, and what was found."""
    message, found = Message.from_bytes(raw, Limits(**limits)), list[Finding]()
    for part in message.walk():
        for reader in (unpack_zip, read_tar, read_gzip):
            members = None if part.children else reader(part)
            if members is not None:
                found += message.add_members(part, members)
    return message, found


def leaves(message: Message) -> dict[str, bytes]:
    """The content of everything that is no container."""
    return {part.path: part.content for part in message.walk() if part.is_leaf and not part.children}
