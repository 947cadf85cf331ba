"""One layer of a message: the parts that lie unencoded in the same bytes, and their changes as splices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve

from mailward.mime.change import Change
from mailward.mime.compose import EMPTY_TYPE, Body, disposition, inserted_text, part_bytes, text_body
from mailward.mime.content import IDENTITY
from mailward.mime.encoded import base64_again, base64_body, quoted_again, trimmed, unencoded
from mailward.mime.part import Part, PartKind
from mailward.mime.rewrite import HeaderRewrite
from mailward.mime.scratch import pieces
from mailward.mime.source import Source
from mailward.mime.uuencode import uuencode
from mailward.values.edit import Splice

_DESCRIBE_BODY = ("content-type", "content-transfer-encoding", "content-disposition", "content-md5")
_DESCRIBE_CODING = ("content-transfer-encoding", "content-md5")
_EMPTY = Body((EMPTY_TYPE,), b"")


class Layer:
    """The changes of the parts of one layer, none of which lies in another one of them."""

    def __init__(self, line_end: bytes, changes: Mapping[Part, Change]) -> None:
        self._line_end = line_end
        self._changes = changes
        self._rewrites: dict[Part, HeaderRewrite] = {}
        self.more: list[Splice] = []

    def splices(self) -> list[Splice]:
        """The splices of everything, sorted, as offsets from the start of the layer."""
        bodies = list(self._bodies())
        # Where a body follows its header without a blank line, what is added to the header comes first.
        headers = [splice for rewrite in self._rewrites.values() for splice in rewrite.splices()]
        return sorted((*headers, *self.more, *bodies), key=lambda splice: (splice.start, splice.end))

    def rewrite(self, part: Part) -> HeaderRewrite:
        """The changes of the header of a part."""
        if part not in self._rewrites:
            self._rewrites[part] = HeaderRewrite(part, self._line_end)
        return self._rewrites[part]

    def _bodies(self) -> Iterator[Splice]:
        emptied = self._emptied()
        for part, change in self._changes.items():
            yield from self._splices_of(part, change, part in emptied)
        yield from self._runs(
            part for part, change in self._changes.items() if _vanishes(part, change) and part not in emptied
        )

    def _emptied(self) -> set[Part]:
        """The first part of each multipart that would lose all its parts: it stays, empty."""
        deleted: dict[Part, list[Part]] = {}
        for part, change in self._changes.items():
            if part.parent is not None and _vanishes(part, change):
                deleted.setdefault(part.parent, []).append(part)
        return {
            parent.children[0]
            for parent, parts in deleted.items()
            if len(parts) == len(parent.children) and not (parent.division and parent.division.full)
        }

    def _splices_of(self, part: Part, change: Change, stays_empty: bool) -> Iterator[Splice]:
        if _vanishes(part, change) and not stays_empty:
            return
        if part.kind is PartKind.ENCODED:
            yield self._block(part, change)
        elif change.new_content is not None:
            yield from self._content(part, change.new_content, derived=change.inside is not None)
        elif part.parent is None or part.parent.division is None:
            yield from self._whole(part, self._body(change), _DESCRIBE_BODY)
        else:
            start, end = _public(part, part.place.start, part.place.end)
            yield Splice(start, end, part_bytes(self._body(change), self._line_end) + self._missing_break(part))

    def _body(self, change: Change) -> Body:
        if not change.texts:
            return _EMPTY
        body = text_body("\n".join(change.texts), self._line_end)
        return evolve(body, fields=(*body.fields, disposition(change.filename)))

    def _content(self, part: Part, content: Source, derived: bool) -> Iterator[Splice]:
        """New content in the encoding of the old where that is base64, or a text of which a piece changes.

        ``derived``: it is the old content with a change inside.
        """
        place, data = part.place, None
        start, _ = _public(part, place.body, place.end)
        with memoryview(place.source.data)[place.body : place.end] as old:
            has_blank = place.start + len(part.headers.block) < place.body
            codings = len(part.headers.raws("content-transfer-encoding"))
            if has_blank and codings == 1 and part.encoding == "base64":
                data = base64_again(old, content, self._line_end)
            elif has_blank and codings == 1 and part.encoding == "quoted-printable" and derived:
                data = quoted_again(part, b"".join(pieces(content)), self._line_end)
            elif has_blank and codings <= 1 and part.encoding in IDENTITY and derived:
                data = unencoded(part, b"".join(pieces(content)))
            if data is not None:
                yield Splice(*trimmed(start, old, data + self._missing_break(part)))
        if data is not None:
            self.rewrite(part).remove("content-md5")
            return
        body = Body((b"Content-Transfer-Encoding: base64",), base64_body(content, self._line_end))
        yield from self._whole(part, body, _DESCRIBE_CODING)

    def _whole(self, part: Part, body: Body, names: tuple[str, ...]) -> Iterator[Splice]:
        """New body under the part's own header, of which the fields ``names`` are replaced."""
        rewrite = self.rewrite(part)
        rewrite.remove(*names)
        if (part.parent is None or part.parent.division is None) and not rewrite.has("mime-version"):
            rewrite.add(b"MIME-Version: 1.0")
        rewrite.add(*body.fields)
        rewrite.separated = True
        start, end = _public(part, part.place.body, part.place.end)
        yield Splice(start, end, body.data + self._missing_break(part))

    def _missing_break(self, part: Part) -> bytes:
        """A line break where the delimiter after an empty part shares its own with the delimiter before."""
        place = part.place
        if part.parent is None or place.start < place.end or place.end == place.source.end:
            return b""
        return b"" if place.source.copy(place.end, place.end + 1) in b"\r\n" else self._line_end

    def _block(self, part: Part, change: Change) -> Splice:
        """A uuencode block in its text: cut out, given new content, or replaced by text."""
        place, line_end = part.place, self._line_end
        start, end = _public(part, place.start, place.end)
        content = change.new_content
        if content is not None:
            begin = place.source.copy(place.start, place.body).rstrip(b"\r\n") + line_end
            data = uuencode(b"".join(pieces(content)), line_end)
            return Splice(start, end, begin + data + b"end" + line_end)
        above = part.parent
        utf8 = above is not None and above.charset in ("utf-8", "utf8")
        data = inserted_text("\n".join(change.texts), "utf-8" if utf8 else "ascii", line_end) if change.texts else b""
        return Splice(start, end, data)

    def _runs(self, parts: Iterator[Part]) -> Iterator[Splice]:
        """Parts that vanish, neighbours in one splice: from the delimiter before to the one after."""
        run_start, run_end, last = 0, -1, None
        for part in sorted(parts, key=lambda one: one.place.start):
            if part.delimiter is None:
                start, end = _public(part, part.place.start, part.place.end)
                yield Splice(start, end, b"")
                continue
            start, end = _public(part, part.delimiter[0], part.place.end)
            if last is not None and start != run_end:
                yield self._cut(run_start, run_end, last)
                run_start = start
            elif last is None:
                run_start = start
            run_end, last = end, part
        if last is not None:
            yield self._cut(run_start, run_end, last)

    def _cut(self, start: int, end: int, last: Part) -> Splice:
        """Cut parts out; where their delimiter opened the body, the line break after them goes too."""
        source, stop = last.place.source, _public(last, 0, _end_of(last))[1]
        at = source.start
        if source.copy(at + start, at + start + 1) not in (b"\r", b"\n"):
            after = source.copy(at + end, at + min(end + 2, stop))
            end += 2 if after == b"\r\n" else 1 if after[:1] == b"\n" else 0
            return Splice(start, end, b"")
        return Splice(start, end, self._missing_break(last))


def _public(part: Part, start: int, end: int) -> tuple[int, int]:
    return part.place.source.public(start, end)


def _end_of(part: Part) -> int:
    """Where the multipart around a part ends."""
    return part.place.end if part.parent is None else part.parent.place.end


def _vanishes(part: Part, change: Change) -> bool:
    """Whether a change leaves nothing of a part: it is deleted, and there is something around it to stay."""
    deleted = change.delete and not change.texts
    return deleted and (part.kind is PartKind.ENCODED or (part.parent is not None and part.parent.division is not None))
