"""What is put on mail by its direction: disclaimer, header fields, a tag before the subject (SMS-SET-05)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from attrs import frozen

from mailward import (
    AddHeader,
    AppendText,
    ChangeHeader,
    Edit,
    Masks,
    Message,
    PrefixSubject,
    RemoveHeader,
    Template,
    setting,
)
from mailward_content.texts import shown

MAX_DISCLAIMER_CHARS = 1000
"""SMS-SET-05."""

_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
_OF_THE_BODY = ("content-type", "content-transfer-encoding", "content-disposition", "mime-version")


def _short(instance: object, attribute: Any, template: Template) -> None:
    if len(template.source) > MAX_DISCLAIMER_CHARS:
        raise ValueError(f"has {len(template.source)} characters; allowed: at most {MAX_DISCLAIMER_CHARS}")


def _names(instance: object, attribute: Any, fields: dict[str, Template]) -> None:
    for name in fields:
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header field (RFC 5322 section 2.2)")
        _not_of_the_body(name, name)


def _not_of_the_body(shown: str, *names: str) -> None:
    if any(name.lower() in _OF_THE_BODY for name in names):
        raise ValueError(f"{shown!r} says how the body is to be read; allowed: every other field")


def _masks(instance: object, attribute: Any, masks: Masks) -> None:
    for mask in masks:
        _not_of_the_body(mask, *(name for name in _OF_THE_BODY if Masks((mask,)).match(name)))


@frozen
class Marks:
    """``[content.inbound]``, ``[content.outbound]``, ``[content.internal]``: what is put on mail of a direction."""

    enabled: bool = setting(True, help="whether mail of this direction is marked")
    disclaimer: Template = setting(
        Template(), validator=_short, help="text under what the message shows; names: direction, hostname, sender"
    )
    disclaimer_html: Template = setting(
        Template(), validator=_short, help="the same in HTML; empty: the text in HTML bodies too"
    )
    subject_tag: str = setting("", help="text before the subject")
    add_headers: dict[str, Template] = setting(factory=dict, validator=_names, help="header fields that are added")
    change_headers: dict[str, Template] = setting(
        factory=dict, validator=_names, help="header fields that get another value, added where they are missing"
    )
    remove_headers: Masks = setting(Masks(), validator=_masks, help="names of header fields that are taken out")

    @property
    def is_set(self) -> bool:
        """Whether there is anything to put on."""
        texts = (self.disclaimer, self.disclaimer_html, self.subject_tag)
        return self.enabled and any((*texts, self.add_headers, self.change_headers, self.remove_headers))

    def edits(self, message: Message, names: dict[str, str]) -> Iterator[Edit]:
        """The edits that mark ``message``; ``names`` are those that templates may use."""
        gone = dict.fromkeys(name for name in message.headers.names if self.remove_headers.match(name))
        yield from map(RemoveHeader, gone)
        yield from (ChangeHeader(name, value.render(**names)) for name, value in self.change_headers.items())
        yield from (AddHeader(name, value.render(**names)) for name, value in self.add_headers.items())
        if self.subject_tag:
            yield PrefixSubject(self.subject_tag)
        text = self.disclaimer.render(**names)
        html = self.disclaimer_html.render(**{name: escape(value) for name, value in names.items()})
        if text or html:
            yield AppendText(text or shown(html).strip(), html)
