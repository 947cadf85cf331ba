"""Outlook messages (MS-OXMSG): bodies and attachments by their names, out of streams named by property.

A stream ``__substg1.0_IIIITTTT`` holds property IIII of type TTTT (001E text, 001F UTF-16, 0102
bytes); each attachment is a storage ``__attach_version1.0_#N``, and one that is a message again has
the storage ``__substg1.0_3701000D`` inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailward import Finding, Member, Part
from mailward_archives.content import limit
from mailward_archives.lzfu import rtf_body

_PROPERTIES = "__properties_version1.0"
_ATTACHMENT = "__attach_version1.0_"
_STREAM = "__substg1.0_"
_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME, _DATA = "3707", "3704", "3001", "3701"
_BODIES = (("1000", "body.txt"), ("1013", "body.html"))
_RTF = "1009"
_TEXT_TYPES = {"001F": "utf-16-le", "001E": "cp1252"}
_MOST_BYTES = 16 * 1024 * 1024
_NAME_BYTES = 4096
_ERRORS = (OSError, ValueError, IndexError, KeyError, AttributeError, TypeError, MemoryError)
_CHUNK = 256 * 1024


def is_message(paths: list[list[str]]) -> bool:
    """Whether the streams of a compound file are those of an Outlook message."""
    return any(path == [_PROPERTIES] for path in paths)


def read_message(part: Part, storage: Any, paths: list[list[str]]) -> Iterator[Member | Finding]:
    """Bodies and attachments of the message and of messages attached to it."""
    folders: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for path in paths:
        if path[-1].startswith(_STREAM):
            folders.setdefault(tuple(path[:-1]), {})[path[-1][len(_STREAM) :].upper()] = path
    for folder, streams in sorted(folders.items(), key=lambda item: (len(item[0]), item[0])):
        if folder and folder[-1].startswith(_ATTACHMENT):
            yield from _attachment(storage, streams)
        elif not folder or folder[-1].upper().endswith("3701000D"):
            yield from _bodies(part, storage, streams)


def _attachment(storage: Any, streams: dict[str, list[str]]) -> Iterator[Member]:
    content = streams.get(f"{_DATA}0102")
    if content is None:
        return
    name = next(
        (text for tag in (_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME) if (text := _text(storage, streams, tag))), ""
    )
    yield Member(name or "attachment", _stream(storage, content))


def _bodies(part: Part, storage: Any, streams: dict[str, list[str]]) -> Iterator[Member | Finding]:
    for tag, name in _BODIES:
        for kind in (*_TEXT_TYPES, "0102"):
            path = streams.get(tag + kind)
            if path is not None:
                data = _head(storage, path, _MOST_BYTES)
                if kind == "001F":
                    data = data.decode("utf-16-le", "replace").encode()
                yield Member(name, (data,))
    path = streams.get(f"{_RTF}0102")
    if path is None:
        return
    packed = _head(storage, path, _MOST_BYTES)
    yield from rtf_body(part, packed)
    if len(packed) == _MOST_BYTES:
        yield limit(part, "max_body", f"msg: of the compressed body {_MOST_BYTES} bytes were looked at")


def _text(storage: Any, streams: dict[str, list[str]], tag: str) -> str:
    for kind, charset in _TEXT_TYPES.items():
        if tag + kind in streams:
            return _head(storage, streams[tag + kind], _NAME_BYTES).decode(charset, "replace").rstrip("\0")
    return ""


def _head(storage: Any, path: list[str], most: int) -> bytes:
    """The first bytes of a stream; none where it is damaged, which the stream as a member says."""
    try:
        data: bytes = storage.openstream(path).read(most)
    except _ERRORS:
        return b""
    return data


def _stream(storage: Any, path: list[str]) -> Iterator[bytes]:
    """A stream as far as it can be read; that it is damaged is said where it is a member by itself."""
    try:
        stream = storage.openstream(path)
    except _ERRORS:
        return
    while chunk := stream.read(_CHUNK):
        yield chunk
