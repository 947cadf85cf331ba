"""Encrypted Office documents (MS-OFFCRYPTO), by msoffcrypto-tool: those that Office opens without asking, and those
whose password stands in the message.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError

from mailward import Finding, Member, Part
from mailward_archives.content import CHUNK_BYTES
from mailward_archives.passwords import opened_note, tries
from mailward_archives.settings import ArchivesSettings

try:
    msoffcrypto: Any = import_module("msoffcrypto")
    import_module("msoffcrypto.exceptions")
except ImportError:
    msoffcrypto = None

_MOST_BYTES = 64 * 1024 * 1024
_MOST_SPINS = 200_000
_OWN_WORDS = ("VelvetSweatshop", "/01Hannes Ruescher/01")
"""What Excel and PowerPoint try before they ask: a document encrypted so opens as if it were not."""


def missing() -> str:
    """What opening such documents needs and does not stand ready; empty when all is there."""
    return "" if msoffcrypto is not None else "msoffcrypto-tool"


def unlocked(part: Part, settings: ArchivesSettings) -> Iterator[Member | Finding] | None:
    """The document in the clear as a member; None where no password opens it, or nothing can."""
    if missing() or part.size > _MOST_BYTES:
        return None
    words = itertools.chain(_OWN_WORDS, tries(part) if settings.try_passwords else ())
    with part.open() as file:
        for word in words:
            document = _opened(file, word)
            if document is not None:
                return iter((opened_note(part), Member(part.filename or "document", document)))
    return None


def _opened(file: Any, word: str) -> Iterator[bytes] | None:
    """The document in the clear; None where the word is not its password, or it cannot be read."""
    file.seek(0)
    with suppress(*_errors()), ExitStack() as stack:
        document = msoffcrypto.OfficeFile(file)
        details = getattr(document, "info", None)
        # How often the password is hashed is for the sender to say.
        if isinstance(details, dict) and (details.get("spinValue") or 0) > _MOST_SPINS:
            return None
        # The library's own check of the password refuses right ones; a document that comes out is one.
        document.load_key(password=word)
        target = stack.enter_context(tempfile.TemporaryFile(prefix="mailward-"))
        document.decrypt(target)
        stack.pop_all()
        return _pieces(target)
    return None


def _errors() -> tuple[type[BaseException], ...]:
    """What the library, and the parsers and ciphers in it, raise on damaged documents and wrong passwords."""
    problems = msoffcrypto.exceptions
    return (
        *(problems.FileFormatError, problems.ParseError, problems.DecryptionError, problems.InvalidKeyError),
        *(OSError, ValueError, LookupError, AttributeError, TypeError, struct.error, ExpatError),
        *(NotImplementedError, AssertionError, OverflowError, RecursionError, MemoryError),
    )


def _pieces(target: BinaryIO) -> Iterator[bytes]:
    with target:
        target.seek(0)
        while chunk := target.read(CHUNK_BYTES):
            yield chunk
