"""What templates may say about a hit: names of our own, and the tags of older products (SAV-NTF-03)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from time import localtime, strftime

from attrs import frozen

from mailward import Message, Part, Scan, Template, printable
from mailward_content.rule import Hit


@frozen
class Told:
    """What is to be told, and about what. ``now`` is Unix time."""

    hit: Hit
    message: Message
    part: Part | None
    scan: Scan
    hostname: str
    now: float


def _header(told: Told, name: str) -> str:
    return printable(told.message.headers.get(name) or "")


def _filename(told: Told) -> str:
    return printable(told.part.filename) if told.part is not None else ""


def _file(told: Told) -> str:
    return f"{_filename(told) or 'a part without a name'} ({printable(told.hit.name or told.hit.rule)})"


def _type(told: Told) -> str:
    part = told.part if told.part is not None else told.message.root
    return printable(part.declared_type or part.detected_type)


NAMES: dict[str, Callable[[Told], str]] = {
    "filename": _filename,
    "mask": lambda told: told.hit.name,
    "part": lambda told: printable(told.hit.part),
    "reason": lambda told: printable(told.hit.detail),
    "rule": lambda told: told.hit.rule,
    "subject": lambda told: _header(told, "subject"),
    "hostname": lambda told: told.hostname,
    "MSGINFO": lambda told: f"From: {_header(told, 'from')}\nTo: {_header(told, 'to')}",
    "CONTENTINFO": lambda told: printable(told.hit.detail),
    "ENCRYPTINFO": lambda told: f"{_file(told)} is encrypted",
    "FILE": _file,
    "OBJECT_NAME": _filename,
    "OBJECT_TYPE": _type,
    "STATUS": lambda told: str(told.hit.kind),
    "ACTION": lambda told: str(told.hit.action or ""),
    "HOSTNAME": lambda told: told.hostname,
    "PRODUCT": lambda told: "Mailward",
    "SUBJECT": lambda told: _header(told, "subject"),
    "MESSAGE_ID": lambda told: _header(told, "message-id"),
    "SENDER": lambda told: printable(str(told.scan.envelope.sender.address)),
    "RECIPIENTS": lambda told: _header(told, "to"),
    "SIZE": lambda told: str(told.message.size),
    "DATE": lambda told: strftime("%Y-%m-%d", localtime(told.now)),
    "TIME": lambda told: strftime("%H:%M:%S", localtime(told.now)),
}
"""Every name, and how it is worked out. Recipients are those that the header shows, never the envelope's."""


@lru_cache(maxsize=256)
def own_text(source: str) -> Template:
    """The text of an action as a template, compiled once."""
    return Template(source)


def filled(template: Template, told: Told) -> str:
    """The text of ``template`` about a hit; names that it does not use are not worked out."""
    return template.render(**{name: NAMES[name](told) for name in template.names if name in NAMES})
