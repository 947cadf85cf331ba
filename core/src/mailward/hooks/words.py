"""What any text about a message may say of it: names of our own, and the tags of older products (SAV-NTF-03).

A plugin adds the names for what it has found, and has `fill_in` fill in `Template` texts with both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import localtime, strftime
from typing import TypeVar

from attrs import frozen

from mailward.hooks.scan import Scan
from mailward.hooks.template import Template
from mailward.mime import Message, Part
from mailward.values.text import printable

T = TypeVar("T")


@frozen
class About:
    """What a text is about: a message, and one part of it, or None. ``now`` is Unix time."""

    message: Message
    part: Part | None
    scan: Scan
    hostname: str
    now: float

    @property
    def filename(self) -> str:
        """The name of the part; empty where it has none."""
        return printable(self.part.filename) if self.part is not None else ""

    def header(self, name: str) -> str:
        """The value of a header field of the message, on one line."""
        return printable(self.message.headers.get(name) or "")

    @property
    def media_type(self) -> str:
        """The type of the part, or of the message."""
        part = self.part if self.part is not None else self.message.root
        return printable(part.declared_type or part.detected_type)


WORDS: Mapping[str, Callable[[About], str]] = {
    "filename": lambda about: about.filename,
    "part": lambda about: printable(about.part.path) if about.part is not None else "",
    "subject": lambda about: about.header("subject"),
    "hostname": lambda about: about.hostname,
    "MSGINFO": lambda about: f"From: {about.header('from')}\nTo: {about.header('to')}",
    "OBJECT_NAME": lambda about: about.filename,
    "OBJECT_TYPE": lambda about: about.media_type,
    "HOSTNAME": lambda about: about.hostname,
    "PRODUCT": lambda about: "Mailward",
    "SUBJECT": lambda about: about.header("subject"),
    "MESSAGE_ID": lambda about: about.header("message-id"),
    "SENDER": lambda about: printable(str(about.scan.envelope.sender.address)),
    "RECIPIENTS": lambda about: about.header("to"),
    "SIZE": lambda about: str(about.message.size),
    "DATE": lambda about: strftime("%Y-%m-%d", localtime(about.now)),
    "TIME": lambda about: strftime("%H:%M:%S", localtime(about.now)),
}
"""Every name, and how it is worked out. Recipients are those that the header shows, never the envelope's."""


def fill_in(template: Template, own: Mapping[str, Callable[[T], str]], told: T, about: About) -> str:
    """The text of ``template`` with the names of ``own``, worked out of ``told``, and those of `WORDS`.

    ``own`` goes before. Names that the text does not use are not worked out.
    """
    used = template.names & (own.keys() | WORDS.keys())
    return template.render(**{name: own[name](told) if name in own else WORDS[name](about) for name in used})
