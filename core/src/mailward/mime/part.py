"""Parts: one node of the tree each, a span of bytes that is decoded when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailward.mime.charset import codec, decode_text, true_charset
from mailward.mime.content import UU_LINES, Place
from mailward.mime.headers import NO_HEADERS, Headers
from mailward.mime.kind import PartKind as PartKind
from mailward.mime.ledger import Ledger
from mailward.mime.magic import APPLE_IMAGE, HEAD_BYTES, TAIL_BYTES, detect, is_apple_image
from mailward.mime.manner import MAIN, Manner
from mailward.mime.names import Name, hazards, names_of, subject_name
from mailward.mime.parameters import NO_PARAMETERS, Parameters, parse_parameters
from mailward.mime.payload import Payload
from mailward.mime.reach import is_rewritable
from mailward.values.finding import Finding, Kind

if TYPE_CHECKING:
    from mailward.mime.layout import Division

_APPLE_FIRST = frozenset(
    ["", "application/x-bzip2", "application/x-xz", "application/x-lzma", "application/x-disk-image"]
)
"""What the first bytes of an honest disk image of Apple show: those of its first block, packed or as it is."""


class Part(Payload):
    """One node of the tree. Content is decoded on demand and never changed.

    ``path`` is unique in the message, ``depth`` counts levels from 0 at the root (a message and the
    multipart that is its body are one level), ``children`` are in order. ``declared_type`` is what the
    header says (``type/subtype`` in lower case; ``text/plain`` where it says nothing, RFC 2045 section
    5.2; empty for members and uuencode blocks). ``encoding`` is the transfer encoding in lower case.
    ``parameters`` are those of Content-Type. ``opaque`` parts have no content to show, because it is
    encrypted or beyond a limit; a finding tells which.

    ``readings`` are what other clients make of the same bytes; `Message.walk` visits them after the
    children. ``layout`` is how the body was divided, also where that gave no parts.
    """

    __slots__ = (
        "_detected",
        "_members",
        "_names",
        "_text",
        "children",
        "declared_type",
        "delimiter",
        "depth",
        "division",
        "headers",
        "kind",
        "layout",
        "manner",
        "opaque",
        "parameters",
        "parent",
        "readings",
    )

    def __init__(
        self,
        ledger: Ledger,
        place: Place,
        kind: PartKind,
        parent: Part | None,
        depth: int,
        headers: Headers = NO_HEADERS,
        manner: Manner = MAIN,
    ) -> None:
        super().__init__(ledger, place, UU_LINES if kind is PartKind.ENCODED else "binary")
        self.kind = kind
        self.parent = parent
        self.depth = depth
        self.headers = headers
        self.manner = manner
        self.children: list[Part] = []
        self.readings: Sequence[Part] = ()
        self.declared_type = ""
        self.parameters = NO_PARAMETERS
        self.opaque = False
        self.layout: Division | None = None
        self.division: Division | None = None
        self.delimiter: tuple[int, int] | None = None
        self._detected: str | None = None
        self._members: tuple[int, frozenset[str]] | None = None
        self._names: tuple[Name, ...] | None = None
        self._text: str | None = None

    def __repr__(self) -> str:
        return f"<Part {self.path!r} {self.kind} {self.declared_type or self.detected_type}>"

    @property
    def is_leaf(self) -> bool:
        """Whether the part has content of its own rather than parts: every kind but multipart and message."""
        return self.kind not in (PartKind.MULTIPART, PartKind.MESSAGE)

    @property
    def is_rewritable(self) -> bool:
        """Whether new content can be put in the place of this part's content alone (`ReplaceContent`).

        In an archive or encoded content that takes all that is around to be written again (SAV-AV-06).
        """
        return not self.reading and is_rewritable(self)

    @property
    def reading(self) -> str:
        """How this part was read, where that is not how most programs read it; empty for the main reading.

        The same word for the whole subtree: one client reads everything in its own way.
        """
        return self.manner.name

    @property
    def span(self) -> tuple[int, int] | None:
        """Header and body as offsets in `Message.raw`; None where the part does not lie there unencoded."""
        place = self.place
        return place.source.public(place.start, place.end) if place.source.outer else None

    @property
    def body_span(self) -> tuple[int, int] | None:
        """The body, transfer encoding and all, as offsets in `Message.raw`; None as for `Part.span`."""
        place = self.place
        return place.source.public(place.body, place.body_end) if place.source.outer else None

    @property
    def names(self) -> tuple[Name, ...]:
        """Every name that some client may show, the one most clients show first."""
        if self._names is None:
            found = names_of(self.headers, self._disposition, self.parameters)
            if not found and self.kind is PartKind.MESSAGE and self.children:
                found = subject_name(self.children[0].headers.get("subject") or "")
            self.name_as(found)
        return self._names or ()

    def is_named(self, suffixes: str | tuple[str, ...]) -> bool:
        """Whether any of `names` ends so, whatever its case; ``suffixes`` in lower case, as ``.exe``."""
        return any(name.text.lower().endswith(suffixes) for name in self.names)

    def has_member(self, *names: str) -> bool:
        """Whether one of the `children` has one of these names (in lower case), whatever its case."""
        if self._members is None or self._members[0] != len(self.children):
            known = frozenset(name.text.lower() for child in self.children for name in child.names)
            self._members = len(self.children), known
        return not self._members[1].isdisjoint(names)

    @property
    def _disposition(self) -> Parameters:
        raw = self.headers.raw("content-disposition")
        return parse_parameters(raw) if raw else NO_PARAMETERS

    def name_as(self, names: tuple[Name, ...]) -> None:
        """Set the names; those of a member or uuencode block are no matter of a header."""
        self._names = names
        for rule in sorted(hazards(names)):
            detail = f"a name with characters that do not show: {names[0].raw[:80]!a}"
            self._ledger.note(Kind.NOTE, rule, self.path, detail=detail)

    @property
    def filename(self) -> str:
        """The name that most clients show, normalised; empty where there is none."""
        return next((name.text for name in self.names if name.text), "")

    @property
    def disposition(self) -> str:
        """``attachment``, ``inline`` or another word in lower case; empty where the header is missing."""
        return self._disposition.value.decode("ascii", "replace").lower()

    @property
    def charset(self) -> str:
        """The declared charset in lower case, empty where there is none."""
        return self.parameters.get("charset").lower() if self.parameters.items else ""

    @property
    def detected_type(self) -> str:
        """The type that the first bytes show, empty where they show none (plain text among these).

        A disk image of Apple is told by its last bytes, where its first ones are those of a compression
        or of a disk or show nothing; elsewhere it is an ambiguous finding (``apple_image``).
        """
        if self._detected is None:
            self._detected = detect(self.head(HEAD_BYTES))
            if self.is_leaf and is_apple_image(self.tail(TAIL_BYTES)):
                self._show_apple_image(self._detected)
        return self._detected

    def _show_apple_image(self, first: str) -> None:
        if first in _APPLE_FIRST:
            self._detected = APPLE_IMAGE
        elif first != APPLE_IMAGE:
            detail = f"begins as {first} and ends as a disk image of Apple, which is opened by its end"
            self._ledger.note(Kind.AMBIGUOUS, "apple_image", self.path, detail=detail)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the core and the readers of containers found about this part so far."""
        return self._ledger.about(self.path)

    @property
    def _coding(self) -> str:
        # A multipart is read where it stands, whatever encoding it claims (RFC 2045 section 6.4).
        return "binary" if self.division is not None else self.encoding

    def _damaged(self, rule: str) -> None:
        if self.manner is MAIN:
            if rule == "base64_junk" and self.kind is not PartKind.ENCODED:
                self._ledger.junk.add(self.path)
            kind = Kind.AMBIGUOUS if rule == "base64_after_padding" else Kind.MALFORMED
            self._ledger.note(kind, rule, self.path, detail=f"content in {self.encoding} is damaged: {rule}")

    @property
    def text(self) -> str:
        """The content as text by the declared charset, errors replaced; never raises.

        An unknown charset is taken as UTF-8, else Windows-1252, with a note, and a text that shows by
        its bytes that it is UTF-16 as that, whatever is declared. Content beyond
        `Limits.max_part_bytes` is cut.
        """
        if self._text is not None:
            return self._text
        charset = self.charset
        if charset and not codec(charset):
            self._ledger.note(
                Kind.NOTE, "charset_unknown", self.path, charset[:64], f"charset {charset[:64]!r} is not known"
            )
        most = self._ledger.limits.max_part_bytes
        data = self.head(most) if self.place.body_bytes > most else self.content
        if found := true_charset(data, charset):
            detail = f"declared as {charset[:64] or 'us-ascii'!r}, written in {found}"
            self._ledger.note(Kind.NOTE, "charset_wrong", self.path, detail=detail)
        text = decode_text(data, found or charset)
        if self._content is not None:
            self._text = text
        return text
