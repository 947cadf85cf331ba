"""Edits turned into splices: which bytes of the raw message change, and into what.

An edit names a part. Where that part does not lie in the raw bytes (it is inside an archive or
inside encoded content), the edit climbs to the nearest part around it that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from mailward.mime.compose import (
    EMPTY_TYPE,
    Body,
    base64_lines,
    disposition,
    header_field,
    inserted_text,
    one_line,
    part_bytes,
    text_body,
)
from mailward.mime.errors import EditError
from mailward.mime.message import Message
from mailward.mime.part import Part, PartKind
from mailward.mime.rewrite import HeaderRewrite
from mailward.mime.uuencode import uuencode
from mailward.values.edit import (
    AddHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
    Splice,
)

_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
_DESCRIBE_BODY = ("content-type", "content-transfer-encoding", "content-disposition", "content-md5")
_EMPTY = Body((EMPTY_TYPE,), b"")


def resolve(message: Message, edits: Sequence[Edit]) -> tuple[Splice, ...]:
    """The splices that carry out ``edits``, sorted by start and not overlapping.

    Edits of one part collapse: replacing wins over deleting, deleting over new content; the texts of
    several replacements are joined. Edits inside a part that is deleted or replaced have nothing
    left to do. Raises EditError naming the edit that cannot be carried out, and why.
    """
    plan = _Plan(message)
    for edit in edits:
        plan.add(edit)
    return tuple(sorted(plan.splices(), key=lambda splice: (splice.start, splice.end)))


@frozen(slots=True)
class _Change:
    """What is to become of one part: replaced by texts, else given new content, else deleted."""

    texts: tuple[str, ...] = ()
    filename: str = ""
    content: bytes | None = None
    delete: bool = False

    @property
    def new_content(self) -> bytes | None:
        return None if self.texts or self.delete else self.content


class _Plan:
    """All edits of one message, collapsed part by part."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._line_end = message.line_end
        self._changes: dict[Part, _Change] = {}
        self._rewrites: dict[Part, HeaderRewrite] = {}
        self._prefixes: list[str] = []

    def add(self, edit: Edit) -> None:
        """Take one edit in; raises EditError."""
        match edit:
            case DeletePart(path):
                self._change(self._editable(edit, path), delete=True)
            case ReplacePart(path, text, filename):
                self._replace(self._editable(edit, path), text, filename)
            case ReplaceContent(path, content):
                self._new_content(edit, self._part(edit, path), content)
            case AddHeader(name, value):
                field = header_field(self._checked(edit, name), value, self._line_end)
                self._rewrite(self._message.root).add_on_top(field)
            case RemoveHeader(name):
                self._rewrite(self._message.root).remove(name)
            case PrefixSubject(text):
                clean = one_line(text).strip()
                if clean and clean not in self._prefixes:
                    self._prefixes.append(clean)
            case _:
                raise EditError(f"{edit!r} is not an edit that can be carried out")

    def splices(self) -> Iterator[Splice]:
        """The splices of everything taken in."""
        changes = {part: change for part, change in self._changes.items() if not self._inside_another(part)}
        emptied = self._emptied(changes)
        for part, change in changes.items():
            yield from self._splices_of(part, change, part in emptied)
        yield from self._runs(
            part for part, change in changes.items() if _vanishes(part, change) and part not in emptied
        )
        if self._prefixes:
            root = self._rewrite(self._message.root)
            if root.has("subject"):
                yield from root.prefix("subject", self._prefixes)
            else:
                root.add_on_top(header_field("Subject", " ".join(reversed(self._prefixes)), self._line_end))
        for rewrite in self._rewrites.values():
            yield from rewrite.splices()

    def _part(self, edit: Edit, path: str) -> Part:
        try:
            return self._message.part(path)
        except KeyError as error:
            raise EditError(f"{type(edit).__name__}: {error.args[0]}") from error

    def _editable(self, edit: Edit, path: str) -> Part:
        """The part itself or the nearest around it that lies in the raw message and is not an empty mail."""
        part = self._part(edit, path)
        while part.parent is not None and (
            part.span is None or (part.parent.division is None and part.place.start == part.place.end)
        ):
            part = part.parent
        return part

    @staticmethod
    def _checked(edit: Edit, name: str) -> str:
        if not _FIELD_NAME.fullmatch(name):
            raise EditError(
                f"{type(edit).__name__}: {name[:80]!r} is not the name of a header field (RFC 5322 section 2.2)"
            )
        return name

    def _change(self, part: Part, delete: bool = False, content: bytes | None = None) -> None:
        known = self._changes.get(part, _Change())
        self._changes[part] = evolve(
            known, delete=known.delete or delete, content=known.content if content is None else content
        )

    def _replace(self, part: Part, text: str, filename: str) -> None:
        known = self._changes.get(part, _Change())
        texts = known.texts if text in known.texts else (*known.texts, text)
        self._changes[part] = evolve(known, texts=texts, filename=known.filename or filename)

    def _new_content(self, edit: ReplaceContent, part: Part, content: bytes) -> None:
        if not part.is_rewritable:
            why = "it is no leaf" if part.span is not None else "it does not lie unencoded in the message"
            raise EditError(f"ReplaceContent: part {edit.path!r} cannot be rewritten: {why}; delete or replace it")
        known = self._changes.get(part)
        if known is not None and known.content not in (None, content):
            raise EditError(f"ReplaceContent: part {edit.path!r} is given two different contents")
        self._change(part, content=content)

    def _inside_another(self, part: Part) -> bool:
        above = part.parent
        while above is not None:
            if above in self._changes:
                return True
            above = above.parent
        return False

    def _emptied(self, changes: dict[Part, _Change]) -> set[Part]:
        """The first part of each multipart that would lose all its parts: it stays, empty."""
        deleted: dict[Part, list[Part]] = {}
        for part, change in changes.items():
            if part.parent is not None and _vanishes(part, change):
                deleted.setdefault(part.parent, []).append(part)
        return {
            parent.children[0]
            for parent, parts in deleted.items()
            if len(parts) == len(parent.children) and not (parent.division and parent.division.full)
        }

    def _splices_of(self, part: Part, change: _Change, stays_empty: bool) -> Iterator[Splice]:
        if _vanishes(part, change) and not stays_empty:
            return
        content = change.new_content
        if part.kind is PartKind.ENCODED:
            yield self._block(part, change)
        elif content is not None:
            body = Body((b"Content-Transfer-Encoding: base64",), base64_lines(content, self._line_end))
            yield from self._whole(part, body, ("content-transfer-encoding", "content-md5"))
        elif part.parent is None or part.parent.division is None:
            yield from self._whole(part, self._body(change), _DESCRIBE_BODY)
        else:
            start, end = _public(part, part.place.start, part.place.end)
            yield Splice(start, end, part_bytes(self._body(change), self._line_end) + self._missing_break(part))

    def _body(self, change: _Change) -> Body:
        if not change.texts:
            return _EMPTY
        body = text_body("\n".join(change.texts), self._line_end)
        return evolve(body, fields=(*body.fields, disposition(change.filename)))

    def _whole(self, part: Part, body: Body, names: tuple[str, ...]) -> Iterator[Splice]:
        """New body under the part's own header, of which the fields ``names`` are replaced."""
        rewrite = self._rewrite(part)
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

    def _block(self, part: Part, change: _Change) -> Splice:
        """A uuencode block in its text: cut out, given new content, or replaced by text."""
        place, line_end = part.place, self._line_end
        start, end = _public(part, place.start, place.end)
        content = change.new_content
        if content is not None:
            begin = place.source.copy(place.start, place.body).rstrip(b"\r\n") + line_end
            return Splice(start, end, begin + uuencode(content, line_end) + b"end" + line_end)
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
        raw, stop = self._message.raw, _public(last, 0, _end_of(last))[1]
        if bytes(raw[start : start + 1]) not in (b"\r", b"\n"):
            after = bytes(raw[end : min(end + 2, stop)])
            end += 2 if after == b"\r\n" else 1 if after[:1] == b"\n" else 0
        return Splice(start, end, b"")

    def _rewrite(self, part: Part) -> HeaderRewrite:
        if part not in self._rewrites:
            self._rewrites[part] = HeaderRewrite(part, self._line_end)
        return self._rewrites[part]


def _public(part: Part, start: int, end: int) -> tuple[int, int]:
    return part.place.source.public(start, end)


def _end_of(part: Part) -> int:
    """Where the multipart around a part ends."""
    return part.place.end if part.parent is None else part.parent.place.end


def _vanishes(part: Part, change: _Change) -> bool:
    """Whether a change leaves nothing of a part: it is deleted, and there is something around it to stay."""
    deleted = change.delete and not change.texts
    return deleted and (part.kind is PartKind.ENCODED or (part.parent is not None and part.parent.division is not None))
