"""Members of containers, and taking them in under the limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from mailward.mime.attached import member_is_mail
from mailward.mime.content import Place
from mailward.mime.errors import MemberError
from mailward.mime.ledger import KEPT_PART_BYTES, Ledger
from mailward.mime.magic import HEAD_BYTES, is_binary
from mailward.mime.names import member_name, visible
from mailward.mime.part import Part, PartKind
from mailward.mime.source import Source
from mailward.mime.tree import Tree
from mailward.values.finding import Finding, Kind

_UUENCODED = (".uu", ".uue")


@frozen
class Member:
    """One member of a container, as a reader hands it over.

    ``chunks``: its content, bytes in any sizes, made while they are read; it may raise MemberError.
    ``size_hint``: the size that the container declares (0: unknown), used only to refuse early.
    ``raw_bytes``: the packed size (0: unknown), for the ratio. ``other_names``: names that some clients
    show instead.
    """

    name: str
    chunks: Iterable[bytes]
    encrypted: bool = False
    size_hint: int = 0
    raw_bytes: int = 0
    other_names: tuple[str, ...] = ()


class Intake:
    """Takes the members of one container into the tree, never more than the limits allow."""

    __slots__ = ("_full", "_ledger", "_part", "_taken", "_tree", "findings")

    def __init__(self, ledger: Ledger, tree: Tree, part: Part) -> None:
        self._ledger = ledger
        self._tree = tree
        self._part = part
        self._full = False
        self._taken = 0
        self.findings: list[Finding] = []

    def take(self, members: Iterable[Member | Finding]) -> list[Finding]:
        """Take all members; returns what was found: limits, encryption, errors of the reader."""
        with self._ledger.clock():
            try:
                for member in members:
                    if isinstance(member, Finding):
                        self.findings.append(member)
                    elif not self._admitted():
                        break
                    else:
                        self._add(member)
                    if self._full:
                        break
            except MemberError as error:
                self._found(Kind.UNCHECKED, "unopened", self._part.path, detail=str(error))
        return self.findings

    def _found(self, kind: Kind, rule: str, path: str, name: str = "", detail: str = "") -> None:
        self.findings.append(Finding(kind, "core", rule, path, name, detail=detail))

    def _limit(self, name: str, path: str) -> None:
        value = getattr(self._ledger.limits, name)
        self._found(Kind.LIMIT, "limit", path, name, f"{name} = {value} reached: the rest was not looked at")

    def _admitted(self) -> bool:
        reached = self._tree.forbidden(self._part)
        if reached:
            self._limit(reached, self._part.path)
            return False
        self._ledger.parts += 1
        return True

    def _add(self, member: Member) -> None:
        part = self._part
        empty = Place(Source(b"", 0, 0), 0, 0, 0, 0)
        child = Part(self._ledger, empty, PartKind.MEMBER, part, part.depth + 1)
        others = [name for other in member.other_names for name in member_name(other, "member, other name")]
        child.name_as((*member_name(member.name, "member"), *others))
        part.children.append(child)
        self._tree.register(child, f"{part.path}/{visible(member.name) or 'unnamed'}")
        if member.encrypted:
            child.opaque = True
            self._found(Kind.ENCRYPTED, "encrypted", child.path, detail="the member is encrypted")
            return
        source = self._content(child, member)
        if source is None:
            child.opaque = True
            return
        child.place = Place(source, source.start, source.start, source.end, source.end)
        if member_is_mail(child):
            self._tree.grow(source, source.start, source.end, child)
        elif not child.detected_type and _may_be_uuencoded(child):
            self._tree.find_blocks(child)

    def _reached(self, member: Member, size: int, more: int) -> str:
        """The limit that a member reaches with its first ``size`` bytes, the last ``more`` of which are new."""
        ledger, limits = self._ledger, self._ledger.limits
        if size > limits.max_part_bytes:
            return "max_part_bytes"
        if ledger.decoded_bytes + more > limits.max_total_bytes:
            self._full = True
            return "max_total_bytes"
        floor = limits.ratio_floor_bytes
        if member.raw_bytes and size > max(floor, member.raw_bytes * limits.max_ratio):
            return "max_ratio"
        # Formats that do not tell what a member is packed into, and members that share their bytes.
        if self._taken > floor and self._taken > self._part.size * limits.max_ratio:
            return "max_ratio"
        if ledger.out_of_time():
            self._full = True
            return "max_time_s"
        return ""

    def _content(self, child: Part, member: Member) -> Source | None:
        """The content of a member in memory or in the spill file; None, with a finding, beyond a limit."""
        limits = self._ledger.limits
        most = min(limits.max_part_bytes, max(limits.max_total_bytes - self._ledger.decoded_bytes, 0))
        if member.size_hint > limits.max_part_bytes:
            self._limit("max_part_bytes", child.path)
            return None
        pieces, size = list[bytes](), 0
        chunks = self._measured(child, member)
        for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size > KEPT_PART_BYTES:
                break
        else:
            data = b"".join(pieces)
            if child.opaque:
                return None
            if self._ledger.keep(size) or not size:
                return Source(data, 0, size)
            pieces = [data]
        with self._ledger.spill(most) as spill:
            mark = spill.mark()
            for piece in pieces:
                spill.write(piece)
            pieces.clear()
            for chunk in chunks:
                spill.write(chunk)
            if child.opaque:
                spill.rewind(mark)
                return None
            return spill.source(mark)

    def _measured(self, child: Part, member: Member) -> Iterator[bytes]:
        """The chunks of a member up to the first limit; where one is reached the child is marked opaque.

        What was read before an error of the reader is kept: a client may show it.
        """
        size = 0
        try:
            for chunk in member.chunks:
                size += len(chunk)
                self._taken += len(chunk)
                reached = self._reached(member, size, len(chunk))
                if reached:
                    self._taken -= size
                    child.opaque = True
                    self._limit(reached, child.path)
                    return
                self._ledger.decoded_bytes += len(chunk)
                yield chunk
        except MemberError as error:
            self._found(Kind.UNCHECKED, "unopened", child.path, detail=str(error))


def _may_be_uuencoded(child: Part) -> bool:
    return child.filename.lower().endswith(_UUENCODED) or not is_binary(child.head(HEAD_BYTES))
