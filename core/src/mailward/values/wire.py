"""Values as JSON: the one way they travel between processes and onto disk.

Classes with subclasses (actions, edits) carry a ``type``; bytes are base64. Reading checks every
type, so nothing that a scan process sends can be more than a value.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import Any, TypeVar

import msgspec
from cattrs import Converter
from cattrs.strategies import configure_tagged_union, include_subclasses

from mailward.values.action import Action, MessageAction
from mailward.values.edit import Edit

T = TypeVar("T")


def _converter() -> Converter:
    converter = Converter(detailed_validation=False, omit_if_default=True)
    converter.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode("ascii"))
    converter.register_structure_hook(bytes, lambda value, _: base64.b64decode(value, validate=True))
    tagged = partial(configure_tagged_union, tag_name="type")
    for base in (Edit, MessageAction, Action):
        include_subclasses(base, converter, union_strategy=tagged)
    return converter


_CONVERTER = _converter()
_UNREADABLE = (
    *(msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError),
    *(ArithmeticError, RecursionError),
)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()


class WireError(ValueError):
    """Bytes are not the JSON of the value that was expected."""


def dump(value: object) -> bytes:
    """The JSON of a value of `mailward.values` (one line, UTF-8)."""
    return _ENCODER.encode(_CONVERTER.unstructure(value))


def load(data: bytes, kind: type[T]) -> T:
    """The value of type ``kind`` that ``data`` holds; WireError where it holds something else."""
    try:
        return _CONVERTER.structure(_DECODER.decode(data), kind)
    except _UNREADABLE as error:
        raise WireError(f"not a {kind.__name__}: {type(error).__name__}: {error}") from error


def plain(value: Any) -> Any:
    """The value as plain lists, dicts, strings and numbers, for ``--json`` output."""
    return _CONVERTER.unstructure(value)
