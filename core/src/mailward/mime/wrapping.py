"""Wrapping: the whole body of a message as the first part of a multipart/mixed, a text as the second."""

from __future__ import annotations

import hashlib

from mailward.mime.compose import disposition, part_bytes, text_body
from mailward.mime.encoded import base64_body
from mailward.mime.layer import Layer
from mailward.mime.part import Part
from mailward.mime.source import Source
from mailward.values.edit import Splice

_CODING = ("content-transfer-encoding", "content-md5")


def wrap(layer: Layer, root: Part, text: str, line_end: bytes, content: Source | None) -> None:
    """Put the body of the root, byte for byte or with new ``content``, and ``text`` into a multipart/mixed.

    The fields that describe the body go with it (RFC 2045 section 3).
    """
    place, block = root.place, root.headers.block
    names = {name for name in root.headers.names if name.startswith("content-")}
    fields = list[bytes]()
    for name, extent in zip(root.headers.names, root.headers.extents(), strict=True):
        if name in names and not (content is not None and name in _CODING):
            field = block[extent.start : extent.end]
            fields.append(field if field.endswith(b"\n") else field + line_end)
    if content is not None:
        fields.append(b"Content-Transfer-Encoding: base64" + line_end)
    boundary = _boundary(root)
    rewrite = layer.rewrite(root)
    rewrite.remove(*names)
    rewrite.add(b'Content-Type: multipart/mixed; boundary="' + boundary + b'"')
    if not rewrite.has("mime-version"):
        rewrite.add(b"MIME-Version: 1.0")
    rewrite.separated = True
    start, end = place.source.public(place.body, place.end)
    opening = b"--" + boundary + line_end + b"".join(fields) + line_end
    body = text_body(text, line_end)
    closing = line_end + b"--" + boundary + line_end + part_bytes(body, line_end, disposition(""))
    closing += line_end + b"--" + boundary + b"--" + line_end
    if content is not None:
        layer.more.append(Splice(start, end, opening + base64_body(content, line_end) + closing))
        return
    layer.more += [Splice(start, start, opening), Splice(end, end, closing)]


def _boundary(root: Part) -> bytes:
    """A boundary that stands nowhere in the message: the same for the same message."""
    place, number = root.place, 0
    while True:
        seed = b"%d %d " % (place.end - place.start, number) + root.headers.block
        boundary = b"=_" + hashlib.sha256(seed, usedforsecurity=False).hexdigest()[:32].encode()
        if place.source.find(boundary, place.start, place.end) < 0:
            return boundary
        number += 1
