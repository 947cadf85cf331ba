"""PDF: embedded files (ISO 32000 7.11.4), by pikepdf.

Streams are unpacked here where they are only deflated, so that a bomb meets the limits piece by
piece; the library unpacks what else is small.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from mailward import CONTAINER_TYPES, Finding, Member, Part
from mailward_archives.buffer import data_of
from mailward_archives.content import Content, encrypted, limit, reason, unopened
from mailward_archives.inflate import inflated_from
from mailward_archives.passwords import opened_note, tries
from mailward_archives.settings import ArchivesSettings

try:
    pikepdf: Any = import_module("pikepdf")
except ImportError:
    pikepdf = None

_FILES_KEY = b"/EF"
_MARK, _MARK_WITHIN = b"%PDF-", 1024
_PDF_TYPE, _END_MARKS = "application/pdf", (b"%%EOF", b"startxref", b"trailer")
_MOST_FILES = 1000
_MOST_OBJECTS = 200_000
_SMALL_BYTES = 256 * 1024
_MOST_FILTERS = 8


def missing() -> str:
    """What this reader needs and does not stand ready; empty when all is there."""
    return "" if pikepdf is not None else "pikepdf"


def _errors() -> tuple[type[BaseException], ...]:
    return (
        *(pikepdf.PdfError, pikepdf.DataDecodingError, zlib.error, OSError, ValueError, KeyError, TypeError),
        *(AttributeError, RuntimeError, RecursionError, MemoryError, OverflowError, NotImplementedError),
    )


def holds_files(part: Part) -> bool:
    """Whether a document says in plain bytes that files are embedded; it may say so in packed ones."""
    with data_of(part) as data:
        return data.find(b"EmbeddedFile") >= 0


def stands_within(part: Part) -> bool:
    """Whether a document begins in the first kilobyte of other content, where its readers look for it.

    Content that is a container is one to them by its name alone: an archive may hold documents as they are.
    """
    if _MARK not in part.head(_MARK_WITHIN):
        return is_unmarked(part)
    return part.detected_type not in CONTAINER_TYPES or part.filename.lower().endswith(".pdf")


def is_unmarked(part: Part) -> bool:
    """Whether a part that is called or said to be a document is one without the mark: some readers go by its end."""
    if part.detected_type or not (part.is_named(".pdf") or part.declared_type == _PDF_TYPE):
        return False
    return any(mark in part.tail(_MARK_WITHIN) for mark in _END_MARKS)


def may_hold_files(part: Part) -> bool:
    """Whether a document has packed objects, which may say so."""
    with data_of(part) as data:
        return data.find(b"/ObjStm") >= 0


def read_pdf(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding]:
    """The embedded files, by the names that the document gives them."""
    with part.open() as file:
        try:
            document = pikepdf.open(file)
        except pikepdf.PasswordError as error:
            document = _unlocked(part, file) if settings.try_passwords else None
            if document is None:
                yield encrypted(part, f"pdf: {reason(error)}")
                return
            yield opened_note(part)
        except _errors() as error:
            yield unopened(part, f"pdf: {reason(error)}")
            return
        with document:
            yield from _files(part, document)


def _unlocked(part: Part, file: BinaryIO) -> Any:
    """The document, opened with a password of the message; None where none opens it."""
    for word in tries(part):
        file.seek(0)
        with suppress(*_errors()):
            return pikepdf.open(file, password=word)
    return None


def _files(part: Part, document: Any) -> Iterator[Member | Finding]:
    try:
        if len(document.objects) > _MOST_OBJECTS:
            yield limit(part, "max_objects", f"pdf: more than {_MOST_OBJECTS} objects")
            return
        found = list(_streams(document.objects))
    except _errors() as error:
        yield unopened(part, f"pdf: {reason(error)}")
        return
    for number, (name, stream) in enumerate(found, 1):
        if number > _MOST_FILES:
            yield limit(part, "max_files", f"pdf: more than {_MOST_FILES} embedded files")
            return
        name = name or f"embedded{number}"
        content = Content(_chunks(stream), _errors())
        yield Member(name, content)
        if content.error:
            yield unopened(part, f"pdf: {content.error}", name)


def _streams(objects: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Name and stream of each embedded file, those that no file specification names included."""
    named = dict[tuple[int, int], str]()
    streams = dict[tuple[int, int], Any]()
    for item in itertools.chain.from_iterable(map(_within, objects)):
        if isinstance(item, pikepdf.Stream):
            if item.get("/Type") == "/EmbeddedFile":
                streams[item.objgen] = item
        elif isinstance(item.get("/EF"), pikepdf.Dictionary):
            for stream in item["/EF"].as_dict().values():
                if isinstance(stream, pikepdf.Stream):
                    streams[stream.objgen] = stream
                    named.setdefault(stream.objgen, str(item.get("/UF") or item.get("/F") or ""))
    for place, stream in streams.items():
        yield named.get(place, ""), stream


def _within(item: Any) -> Iterator[Any]:
    """The dictionaries and streams in an object, itself among them; what is an object of its own is not followed."""
    stack = [item]
    while stack:
        one = stack.pop()
        is_stream = isinstance(one, pikepdf.Stream)
        if is_stream or isinstance(one, pikepdf.Dictionary):
            yield one
        elif not isinstance(one, pikepdf.Array):
            continue
        plain = one.stream_dict if is_stream else one
        # The library writes names without their codes: a look at the text spares one at each value.
        if _FILES_KEY in plain.unparse(resolved=True):
            values = plain if isinstance(plain, pikepdf.Array) else plain.as_dict().values()
            stack += [value for value in values if isinstance(value, pikepdf.Object) and not value.is_indirect]


def _chunks(stream: Any) -> Iterator[bytes]:
    names, plain = _filters(stream)
    raw = stream.read_raw_bytes()
    if plain and len(names) <= _MOST_FILTERS:
        chunks: Iterator[bytes] = iter((bytes(raw),))
        for _ in names:
            chunks = inflated_from(chunks, zlib.MAX_WBITS)
        yield from chunks
    elif len(raw) <= _SMALL_BYTES:
        yield stream.read_bytes()
    else:
        raise ValueError(f"packed with {', '.join(names[:_MOST_FILTERS])}")


def _filters(stream: Any) -> tuple[list[str], bool]:
    """The filters of a stream, and whether it is deflated only, without predictors."""
    item = stream.get("/Filter")
    if item is None:
        return [], True
    names = [str(name) for name in item] if isinstance(item, pikepdf.Array) else [str(item)]
    return names, all(name in ("/FlateDecode", "/Fl") for name in names) and stream.get("/DecodeParms") is None
