"""MIME: a tree of spans over the raw bytes of a message, and edits as splices of these bytes.

A message is parsed, never written out again: what nobody edits stays byte for byte as it came.

What is behind a name is imported when the name is first asked for, as in `mailward` itself: the limits are a
section of the configuration, and who only reads that does not need the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailward.mime.binhex import unpack_binhex
    from mailward.mime.charset import decode_text, true_charset
    from mailward.mime.containers import CONTAINER_TYPES
    from mailward.mime.edit import resolve
    from mailward.mime.errors import EditError, LimitExceeded, MemberError, MimeError
    from mailward.mime.headers import Header, Headers
    from mailward.mime.layout import What
    from mailward.mime.limits import Limits
    from mailward.mime.magic import detect
    from mailward.mime.member import Member
    from mailward.mime.message import Message
    from mailward.mime.names import Name
    from mailward.mime.parameters import Parameters
    from mailward.mime.part import Part, PartKind
    from mailward.mime.splice import apply, spliced
    from mailward.mime.words import decode_header
    from mailward.mime.zip import unpack_zip

__all__ = [
    "CONTAINER_TYPES",
    "EditError",
    "Header",
    "Headers",
    "LimitExceeded",
    "Limits",
    "Member",
    "MemberError",
    "Message",
    "MimeError",
    "Name",
    "Parameters",
    "Part",
    "PartKind",
    "What",
    "apply",
    "decode_header",
    "decode_text",
    "detect",
    "resolve",
    "spliced",
    "true_charset",
    "unpack_binhex",
    "unpack_zip",
]

_HOMES = {
    "unpack_binhex": "mailward.mime.binhex",
    "decode_text": "mailward.mime.charset",
    "true_charset": "mailward.mime.charset",
    "CONTAINER_TYPES": "mailward.mime.containers",
    "resolve": "mailward.mime.edit",
    "EditError": "mailward.mime.errors",
    "LimitExceeded": "mailward.mime.errors",
    "MemberError": "mailward.mime.errors",
    "MimeError": "mailward.mime.errors",
    "Header": "mailward.mime.headers",
    "Headers": "mailward.mime.headers",
    "What": "mailward.mime.layout",
    "Limits": "mailward.mime.limits",
    "detect": "mailward.mime.magic",
    "Member": "mailward.mime.member",
    "Message": "mailward.mime.message",
    "Name": "mailward.mime.names",
    "Parameters": "mailward.mime.parameters",
    "Part": "mailward.mime.part",
    "PartKind": "mailward.mime.part",
    "apply": "mailward.mime.splice",
    "spliced": "mailward.mime.splice",
    "decode_header": "mailward.mime.words",
    "unpack_zip": "mailward.mime.zip",
}
"""Where each name lives: the imports above, for the running program."""

if not TYPE_CHECKING:  # a type checker sees the imports, and so also that a name is misspelt

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
