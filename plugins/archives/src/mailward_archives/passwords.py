"""Passwords that a message tells its reader: words of its text, tried on the encrypted archives in it."""

from __future__ import annotations

import html
import itertools
import re
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from mailward import Finding, Part, PartKind
from mailward_archives import sevenzip
from mailward_archives.buffer import file_of
from mailward_archives.content import note
from mailward_archives.listing import Entry, Listing
from mailward_archives.settings import ArchivesSettings
from mailward_archives.sevenzip import SevenZip

_ANNOUNCED = re.compile(
    r"pass(?:word|code|phrase|wort|wd|ord)?|pwd|\bpw\b|\bpin\b|\bcode\b|kennwort|mot de passe|\bmdp\b|contrase\w+"
    r"|\bclave|senha|wachtwoord|has[łl]o|парол\w*|密[码碼]|口令|パスワード|비밀번호|암호|[şs]ifre\w*|parola|jelsz[óo]|heslo"
    r"|l[öo]senord|adgangskode|salasana",
    re.I,
)
_QUOTED = re.compile(r"[\"'“„«‘`*\[(<]([^\s\"'”“„«»‘’`*\[\]()<>]{1,64})[\"'”“»’`*\])>]")
_WORD = re.compile(r"\S{1,64}")
_TAG = re.compile(r"<[^<>]*+>")
_AROUND = " \t.,;:!?\"'“”„«»‘’`*()[]{}<>=：，。、；！？（）【】「」"
_FEWEST_CHARACTERS = 3
_ANNOUNCED_WORDS = 8
_ANNOUNCED_WITHIN = 160
_MOST_ANNOUNCEMENTS = 50
_MOST_TEXTS, _MOST_CHARACTERS = 20, 64 * 1024
MOST_TRIES = 64
"""How many words are tried on one container."""
_MOST_S = 20.0


def tries(part: Part) -> Iterator[str]:
    """The words to try on a container: the likeliest first, none twice, for as long as trying may take."""
    stop = time.monotonic() + _MOST_S
    for word in itertools.islice(dict.fromkeys(_words(_texts(part))), MOST_TRIES):
        if time.monotonic() > stop:
            return
        yield word


def opened_note(part: Part) -> Finding:
    """The finding that a container was opened with a word of the message; the word is nobody's business."""
    return note(part, "password", "", "encrypted, and opened with a password that is known or stands in the message")


def _texts(part: Part) -> list[str]:
    """Subject and texts of the message that a part came in."""
    root = part
    while root.parent is not None:
        root = root.parent
    found, stack = [root.headers.get("subject") or ""], [root]
    while stack and len(found) <= _MOST_TEXTS:
        one = stack.pop()
        stack.extend(reversed(one.children))
        if one.kind is PartKind.LEAF and one.declared_type.startswith("text/") and not one.opaque:
            text = one.text[:_MOST_CHARACTERS]
            found.append(html.unescape(_TAG.sub(" ", text)) if one.declared_type == "text/html" else text)
    return found


def _words(texts: Iterable[str]) -> Iterator[str]:
    """Words that may be passwords: what follows their announcement, what stands in quotes, the others."""
    texts = list(texts)
    for text in texts:
        for match in itertools.islice(_ANNOUNCED.finditer(text), _MOST_ANNOUNCEMENTS):
            after = text[match.end() : match.end() + _ANNOUNCED_WITHIN]
            for word in itertools.islice(_WORD.findall(after), _ANNOUNCED_WORDS):
                yield from _forms(word)
    for text in texts:
        for quoted in _QUOTED.findall(text):
            yield from _forms(quoted)
    words = [word for text in texts for word in _WORD.findall(text)]
    for word in sorted(words, key=lambda one: not any(character.isdigit() for character in one)):
        yield from _forms(word)


def _forms(word: str) -> Iterator[str]:
    """A word without what stands around it, and as it stands."""
    for form in (word.strip(_AROUND), word):
        if len(form) >= _FEWEST_CHARACTERS:
            yield form


def unlocked(part: Part, settings: ArchivesSettings, name: str, kind: str) -> SevenZip | None:
    """The 7-Zip program with the password of an encrypted archive; None where it is not encrypted, or none opens it."""
    if not settings.try_passwords or sevenzip.missing():
        return None
    limits = settings.program_timeout_s, settings.program_memory_bytes
    with file_of(part) as file:
        listing = _listing(SevenZip(name, kind, *limits), file)
        sample = _smallest(listing)
        if sample is None and not listing.is_hidden:
            return None
        for word in tries(part):
            reader = SevenZip(name, kind, *limits, word)
            # A list that is encrypted as well names no member before it is opened.
            wanted = sample or _smallest(_listing(reader, file))
            if wanted is not None and reader.opens(file, wanted):
                return reader
    return None


def _listing(reader: SevenZip, file: BinaryIO) -> Listing:
    try:
        return reader.listing(file)
    except (OSError, ValueError) as error:
        return Listing(complaint=str(error))


def _smallest(listing: Listing) -> Entry | None:
    """The encrypted member that costs least to read."""
    files = [entry for entry in listing.entries if entry.encrypted and not entry.folder and entry.size]
    return min(files, key=lambda entry: entry.size, default=None)
