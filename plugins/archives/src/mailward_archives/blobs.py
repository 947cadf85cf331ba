"""Files in HTML, SVG, XML and scripts: ``data:`` URIs (RFC 2397) and long base64 strings (HTML smuggling).

A page can hand its reader a file that no mail filter saw as an attachment. What such a string holds
is a member, named by the type that its URI or its first bytes show.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mailward import Finding, Member, Part
from mailward_archives.buffer import Data
from mailward_archives.content import Content, limit, unopened
from mailward_archives.inflate import inflated
from mailward_archives.signatures import extension

DATA_MARK = re.compile(rb"data:[\w.+/-]{0,100}+[;,]", re.I)
_URI = re.compile(rb"data:([\w.+/-]{0,100}+)((?:;[^,;\"'<>\s]{0,200}+){0,8}),", re.I)
_URI_END = re.compile(rb"[\"'<>)`\\]|\Z")
_STRING = rb"[A-Za-z0-9+/\s]{%s}+={0,2}+\s{0,80}+"
_BLOB = re.compile(
    rb"[\"'`>]" + _STRING % b"512," + rb"(?:[\"'`]\s{0,80}+[+,]?\s{0,80}+[\"'`]" + _STRING % b"1," + rb")*+[\"'`<]"
)
_JOINED = re.compile(rb"[\"'`]\s*+[+,]?\s*+[\"'`]")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]++")
_MOST_BLOBS = 500
_SMALLEST_URI_BYTES = 16
_HEAD_BYTES = 16
_ACTIVE_MIME = b"ActiveMime"


class Blob(NamedTuple):
    """One string that holds a file: its media type (empty: not said) and its decoded content."""

    media_type: str
    content: bytes


def unpack_blobs(part: Part, data: Data, *, strings: bool) -> Iterator[Member | Finding]:
    """A member for each blob in the content; with ``strings`` also for base64 that no URI announces."""
    for number, blob in enumerate(_found(data, strings), 1):
        if number > _MOST_BLOBS:
            yield limit(part, "max_blobs", f"more than {_MOST_BLOBS} embedded files")
            return
        name = f"embedded{number}{_extension(blob)}"
        if blob.content.startswith(_ACTIVE_MIME):
            yield from _active_mime(part, blob.content, name)
        else:
            yield Member(name, (blob.content,))


def _found(data: Data, strings: bool) -> Iterator[Blob]:
    yield from uris(data)
    if strings:
        yield from literals(data)


def uris(data: Data) -> Iterator[Blob]:
    """The ``data:`` URIs that hold more than a few bytes."""
    at = 0
    while (match := _URI.search(data, at)) is not None:
        end = _URI_END.search(data, match.end())
        stop = at = end.start() if end else len(data)
        body = data[match.end() : stop]
        if len(body) < _SMALLEST_URI_BYTES:
            continue
        if b";base64" in match[2].lower():
            content = decoded(urllib.parse.unquote_to_bytes(body))
        else:
            content = urllib.parse.unquote_to_bytes(body)
        yield Blob(match[1].decode("ascii", "replace").lower(), content)


def literals(data: Data) -> Iterator[Blob]:
    """Long base64 between quotes, pieces that a script puts together again included; also between tags."""
    at = 0
    while (match := _BLOB.search(data, at)) is not None:
        # The closing mark may open the next string.
        at = match.end() - 1
        if data[max(match.start() - 8, 0) : match.start()].lower().endswith(b"base64,"):
            continue
        yield Blob("", decoded(_JOINED.sub(b"", match[0])))


def decoded(text: bytes) -> bytes:
    """What base64 stands for; other characters are passed over, a damaged end is cut off."""
    text = _NOT_BASE64.sub(b"", text.replace(b"-", b"+").replace(b"_", b"/"))
    try:
        return base64.b64decode(text[: len(text) // 4 * 4] + _tail(text))
    except binascii.Error:
        return b""


def _tail(text: bytes) -> bytes:
    rest = text[len(text) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _extension(blob: Blob) -> str:
    if found := extension(blob.content[:_HEAD_BYTES]):
        return found
    if blob.media_type in ("text/html", "application/xhtml+xml"):
        return ".html"
    return {"image/svg+xml": ".svg", "text/javascript": ".js", "application/javascript": ".js"}.get(blob.media_type, "")


def _active_mime(part: Part, data: bytes, name: str) -> Iterator[Member | Finding]:
    """The compound file in an ActiveMime wrapper of Office: a header, then zlib."""
    start = int.from_bytes(data[30:32], "little") + 46
    content = Content(inflated(data[start:]), (zlib.error,))
    yield Member(name, content, raw_bytes=len(data))
    if content.error:
        yield unopened(part, f"activemime: {content.error}", name)
