"""Reading one part: its header, what that declares, and how its body divides."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.mime.base64end import as_ended, otherwise_decoded
from mailward.mime.content import Place, decoded, is_identity
from mailward.mime.declared import boundary_of, encoding_of, guessed_boundary, type_of
from mailward.mime.headers import read_headers
from mailward.mime.kind import PartKind
from mailward.mime.layout import divide
from mailward.mime.ledger import Ledger
from mailward.mime.manner import MAIN, Manner, Pick, Transfer
from mailward.mime.part import Part
from mailward.mime.payload import STEP_BYTES
from mailward.mime.readings import MESSAGE_TYPES
from mailward.mime.source import Source

_GUESSED_WITHIN = 64 * 1024


class Reader:
    """Reads parts of one message; its limits hold for all of them together."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(
        self,
        source: Source,
        start: int,
        end: int,
        parent: Part | None,
        default_type: str,
        depth: int,
        manner: Manner = MAIN,
    ) -> Part:
        """A part with its header read and, if it is a multipart, its body divided."""
        ledger, limits = self._ledger, self._ledger.limits
        room = limits.max_headers - ledger.headers
        headers, body = read_headers(source, start, end, limits.max_header_bytes, room, manner)
        ledger.headers += len(headers)
        part = Part(ledger, Place(source, start, body, end, end), PartKind.LEAF, parent, depth, headers, manner)
        part.declared_type, part.parameters = type_of(headers, default_type, manner)
        part.encoding = encoding_of(headers, manner)
        if manner is not MAIN:
            self._place(part, manner)
        if part.declared_type.startswith("multipart/"):
            self._divide(part)
        return part

    def _place(self, part: Part, manner: Manner) -> None:
        """What some readings make of the body before they look into it."""
        place = part.place
        if manner.transfer is Transfer.NOWHERE:
            # Who does not decode a message still decodes the parts inside it.
            if part.declared_type in MESSAGE_TYPES or part.parent is None or part.parent.manner is MAIN:
                part.encoding = "binary"
        elif manner.transfer is Transfer.EVERYWHERE and part.declared_type.startswith("multipart/"):
            if not is_identity(part.encoding):
                self._decode(part, decoded(place, part.encoding, STEP_BYTES, lambda word: None))
        elif part.encoding == "base64":
            part.place = as_ended(place, manner.damage)
            if (pieces := otherwise_decoded(place, manner.damage, STEP_BYTES)) is not None:
                self._decode(part, pieces)

    def _decode(self, part: Part, pieces: Iterator[bytes]) -> None:
        """Have a part stand in what its body is decoded to."""
        source = self._kept(part, pieces)
        part.place = Place(source, source.start, source.start, source.end, source.end)
        part.encoding = "binary"

    def _kept(self, part: Part, pieces: Iterator[bytes]) -> Source:
        if part.is_small:
            data = b"".join(pieces)
            return Source(data, 0, len(data))
        with self._ledger.spill(part.place.body_bytes) as spill:
            mark = spill.mark()
            for piece in pieces:
                spill.write(piece)
            return spill.source(mark)

    def _divide(self, part: Part) -> None:
        ledger, place, manner = self._ledger, part.place, part.manner
        if part.depth >= ledger.limits.max_depth:
            return
        boundary = boundary_of(part.parameters, manner.boundary)
        if manner.boundary is Pick.GUESSED:
            boundary = guessed_boundary(place.source.copy(place.body, min(place.end, place.body + _GUESSED_WITHIN)))
        if not boundary:
            return
        room = ledger.limits.max_parts - ledger.parts
        part.layout = divide(place.source, place.body, place.end, boundary, room, manner.lines, ledger.out_of_time)
        if part.layout.parts or part.layout.full:
            part.division = part.layout
