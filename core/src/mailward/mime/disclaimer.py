"""Disclaimers: a text at the end of what a message shows, in every form that it is shown in."""

from __future__ import annotations

import binascii
import codecs
import html as markup
import re
from collections.abc import Sequence

from attrs import evolve, frozen

from mailward.mime.change import Change
from mailward.mime.charset import codec
from mailward.mime.compose import BLOCK_START, EMPTY_TYPE
from mailward.mime.content import IDENTITY
from mailward.mime.decode import quoted_whole
from mailward.mime.encoded import base64_again, base64_body, boundaries_around, quoted_again, quoted_offset, trimmed
from mailward.mime.errors import LimitExceeded
from mailward.mime.layer import Layer
from mailward.mime.part import Part, PartKind
from mailward.mime.scratch import pieces
from mailward.mime.source import Source
from mailward.mime.wrapping import wrap
from mailward.values.edit import AppendText, Splice

_CODINGS = IDENTITY | {"base64", "quoted-printable"}
_TEXTS = ("text/plain", "text/html")
_CLOSED = ("multipart/signed", "multipart/encrypted")
_END_OF_BODY = re.compile(rb"</(body|html)\s*+>", re.I)
_CHARSET = re.compile(rb';\s*charset\s*=\s*(?:"[^"]*"|[^;\s]*)', re.I)
_LONGEST_LINE = 990
_LARGEST_BODY_BYTES = 16 * 1024 * 1024


def append_text(layer: Layer, changes: dict[Part, Change], root: Part, edit: AppendText, line_end: bytes) -> None:
    """Put a disclaimer into every displayed body, else into a part of its own.

    ``changes`` are what becomes of the parts of ``layer``: a body that is replaced takes the text too.
    """
    taken = False
    for part in _shown(root):
        around: Part | None = part
        while around is not None and around not in changes:
            around = around.parent
        if around is None:
            taken = _append(layer, changes, part, edit, line_end) or taken
        elif changes[around].texts:
            changes[around] = _with_text(changes[around], edit.text)
            taken = True
        elif around is part and changes[part].new_content is not None:
            taken = _append_to_new(changes, part, edit, line_end) or taken
    if not taken:
        if root in changes and changes[root].new_content is None:
            changes[root] = _with_text(changes[root], edit.text)
        else:
            change = changes.pop(root, None)
            wrap(layer, root, edit.text, line_end, change.new_content if change is not None else None)


def joined(edits: Sequence[AppendText]) -> AppendText:
    """Several disclaimers as one, each once."""
    if len(edits) == 1:
        return edits[0]
    texts = dict.fromkeys(edit.text.rstrip("\r\n") for edit in edits)
    return AppendText("\n\n".join(texts), "\n".join(dict.fromkeys(map(_as_html, edits))))


def _with_text(change: Change, text: str) -> Change:
    return change if text in change.texts else evolve(change, texts=(*change.texts, text))


def _shown(root: Part) -> list[Part]:
    """The bodies that a client shows first, of the alternatives all (RFC 2046 section 5.1.4, RFC 2387)."""
    found, stack = list[Part](), [root]
    while stack:
        part = stack.pop()
        if part.kind is PartKind.MULTIPART and part.declared_type not in _CLOSED:
            if part.declared_type == "multipart/alternative":
                stack.extend(reversed(part.children))
            else:
                start = part.parameters.get("start") if part.declared_type == "multipart/related" else ""
                named = [one for one in part.children if start and one.headers.get("content-id") == start]
                stack.extend((named or part.children)[:1])
        elif part.kind is PartKind.LEAF and part.declared_type in _TEXTS and not _is_attached(part):
            found.append(part)
    return found


def _is_attached(part: Part) -> bool:
    return part.disposition == "attachment" or bool(part.filename)


@frozen(slots=True)
class _Snippet:
    """What goes into a content at ``at``. ``whole``: all of it in UTF-8, where its own charset has no such text."""

    at: int
    data: bytes
    whole: bytes | None = None


def _append(layer: Layer, changes: dict[Part, Change], part: Part, edit: AppendText, line_end: bytes) -> bool:
    """Put the text into one body; False where it cannot take it."""
    try:
        content = part.content if part.place.body_bytes <= _LARGEST_BODY_BYTES else None
    except LimitExceeded:
        content = None
    snippet = _snippet(part, content, edit, line_end) if content is not None else None
    if content is None or snippet is None or part.encoding not in _CODINGS:
        return False
    inside = part.place.body + snippet.at
    if any(child in changes and child.place.start <= inside < child.place.end for child in part.children):
        return False
    start, _ = part.place.source.public(part.place.body, part.place.end)
    old = part.place.source.copy(part.place.body, part.place.end)
    spliced = _spliced(part, content, old, snippet, line_end)
    if spliced is not None:
        at, end, data = spliced
        layer.more.append(Splice(start + at, start + end, data))
        if "content-md5" in part.headers:
            layer.rewrite(part).remove("content-md5")
        return True
    if any(child in changes for child in part.children):
        return False
    layer.more.append(Splice(start, start + len(old), _recoded(layer, part, content, snippet, line_end)))
    return True


def _spliced(
    part: Part, content: bytes, old: bytes, snippet: _Snippet, line_end: bytes
) -> tuple[int, int, bytes] | None:
    """(start, end, data) of what changes in the body as it is encoded; None where it needs another encoding."""
    headers = part.headers
    has_blank = part.place.start + len(headers.block) < part.place.body or not headers
    if snippet.whole is not None or not has_blank or len(headers.raws("content-transfer-encoding")) > 1:
        return None
    if part.encoding in IDENTITY:
        fits = snippet.data.isascii() or part.encoding != "7bit" or not content.isascii()
        short = max(map(len, snippet.data.split(b"\n"))) < _LONGEST_LINE
        return (snippet.at, snippet.at, snippet.data) if fits and short else None
    new = content[: snippet.at] + snippet.data + content[snippet.at :]
    if part.encoding == "quoted-printable":
        return _spliced_quoted(old, snippet, new, line_end)
    view = memoryview(old)
    return trimmed(0, view, base64_again(view, Source(new, 0, len(new)), line_end))


def _recoded(layer: Layer, part: Part, content: bytes, snippet: _Snippet, line_end: bytes) -> bytes:
    """The whole body in an encoding that carries it; the header says so."""
    new = snippet.whole or content[: snippet.at] + snippet.data + content[snippet.at :]
    quoted = quoted_again(part, new, line_end)
    if quoted is not None and len(quoted) > len(new) * 4 // 3:
        quoted = None
    rewrite = layer.rewrite(part)
    rewrite.remove("content-transfer-encoding", "content-md5")
    rewrite.add(b"Content-Transfer-Encoding: " + (b"base64" if quoted is None else b"quoted-printable"))
    rewrite.separated = True
    if snippet.whole is not None and "content-type" in part.headers:
        rewrite.change("content-type", _in_utf8(part) + line_end)
    elif snippet.whole is not None:
        rewrite.add(EMPTY_TYPE.replace(b"us-ascii", b"utf-8"))
    if (part.parent is None or part.parent.division is None) and not rewrite.has("mime-version"):
        rewrite.add(b"MIME-Version: 1.0")
    return base64_body(Source(new, 0, len(new)), line_end) if quoted is None else quoted


def _append_to_new(changes: dict[Part, Change], part: Part, edit: AppendText, line_end: bytes) -> bool:
    """Put the text into the new content of a body."""
    given = changes[part].new_content
    content = b"".join(pieces(given)) if given is not None else b""
    snippet = _snippet(part, content, edit, line_end)
    if snippet is None or snippet.whole is not None:
        return False
    new = content[: snippet.at] + snippet.data + content[snippet.at :]
    changes[part] = evolve(changes[part], content=Source(new, 0, len(new)))
    return True


def _snippet(part: Part, content: bytes, edit: AppendText, line_end: bytes) -> _Snippet | None:
    """Where the text goes and its bytes; None where the charset of the content is not known for certain."""
    name = codec(part.charset) if part.charset else "ascii" if content.isascii() else "utf_8"
    raw_type = part.headers.raw("content-type") or b""
    if not name or b"charset*" in raw_type.lower():
        return None
    is_html = part.declared_type == "text/html"
    text = _as_html(edit) if is_html else edit.text.replace("\0", " ")
    lines = "\n".join(text.splitlines())
    at = _end_of_html(content) if is_html else len(content)
    if _is_transparent(name):
        try:
            encoded = lines.encode(_encoder(part.charset, name), "xmlcharrefreplace" if is_html else "strict")
        except UnicodeEncodeError:
            pass
        else:
            return _Snippet(at, _placed(part, content, at, encoded, line_end))
    try:
        decoded = content.decode(name)
    except UnicodeDecodeError:
        return None
    utf8 = decoded.encode("utf-8", "replace")
    at = _end_of_html(utf8) if is_html else len(utf8)
    data = _placed(part, utf8, at, lines.encode("utf-8", "replace"), line_end)
    return _Snippet(at, data, utf8[:at] + data + utf8[at:])


def _end_of_html(content: bytes) -> int:
    """Where the last body element ends, else the last html element, else the content."""
    found = {match[1].lower(): match.start() for match in _END_OF_BODY.finditer(content)}
    return found.get(b"body", found.get(b"html", len(content)))


def _placed(part: Part, content: bytes, at: int, text: bytes, line_end: bytes) -> bytes:
    """The text with the line breaks it needs, none of its lines a delimiter or the beginning of a uuencode block."""
    data = b"\n" + BLOCK_START.sub(b" ", text)
    for boundary in boundaries_around(part):
        data = data.replace(b"\n--" + boundary, b"\n --" + boundary)
    ends_line = content[:at].endswith(b"\n")
    flowed = part.parameters.get("format").lower() == "flowed"
    if (ends_line or not at) and not flowed:
        data = data[1:]
    if (ends_line and at == len(content)) or at < len(content):
        data += b"\n"
    return data.replace(b"\n", line_end)


def _as_html(edit: AppendText) -> str:
    if edit.html:
        return edit.html.replace("\0", " ")
    lines = (markup.escape(line, quote=False) for line in edit.text.replace("\0", " ").splitlines())
    return "<p>" + "<br>\n".join(lines) + "</p>"


def _is_transparent(name: str) -> bool:
    """Whether ASCII stands for itself in a charset, wherever it stands."""
    if name in ("utf_7", "hz") or name.startswith("iso2022"):
        return False
    return "a<>/\n".encode(name, "replace") == b"a<>/\n"


def _encoder(charset: str, name: str) -> str:
    """The codec to write with: that of the declared charset, where reading takes a wider one."""
    try:
        return codecs.lookup(charset).name if charset else name
    except LookupError:
        return name


def _spliced_quoted(old: bytes, snippet: _Snippet, new: bytes, line_end: bytes) -> tuple[int, int, bytes] | None:
    """What changes in a quoted-printable body so that it decodes to ``new``."""
    at = quoted_offset(old, snippet.at)
    if at is None:
        return None
    data = binascii.b2a_qp(snippet.data.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", line_end)
    soft = b"=" + line_end
    before = b"" if not at or old[:at].endswith(b"\n") or data.startswith(line_end) else soft
    after = soft if at < len(old) and not data.endswith(line_end) else b""
    for piece in (before + data + after, line_end + before + data + after):
        if quoted_whole(old[:at] + piece + old[at:]) == new:
            return at, at, piece
    return None


def _in_utf8(part: Part) -> bytes:
    """The Content-Type field with charset utf-8."""
    raw = part.headers.raw("content-type") or b""
    return b"Content-Type:" + _CHARSET.sub(b"", raw).rstrip(b" ;") + b"; charset=utf-8"
