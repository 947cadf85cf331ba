"""MIME: a tree of spans over the raw bytes of a message, and edits as splices of these bytes.

A message is parsed, never written out again: what nobody edits stays byte for byte as it came.
"""

from mailward.mime.binhex import unpack_binhex
from mailward.mime.charset import decode_text
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
    "unpack_binhex",
    "unpack_zip",
]
