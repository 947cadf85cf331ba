"""Values as JSON: the one way they travel between processes and onto disk.

Classes with subclasses (actions, edits) carry a ``type``; bytes are base64. Reading checks every
type, so nothing that a scan process sends can be more than a value.
"""

from __future__ import annotations

import base64
from functools import partial
from operator import is_
from typing import Any, TypeVar

import msgspec
from cattrs import Converter

from mailward.values.action import ACTIONS, Action, MessageAction, PartAction
from mailward.values.edit import EDITS, Edit

T = TypeVar("T")
_TAG = "type"


def _converter() -> Converter:
    converter = Converter(detailed_validation=False, omit_if_default=True)
    converter.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode("ascii"))
    converter.register_structure_hook(bytes, lambda value, _: base64.b64decode(value, validate=True))
    _tell_apart(converter, (Edit, *EDITS))
    _tell_apart(converter, (Action, PartAction, MessageAction, *ACTIONS.values()))
    return converter


def _tell_apart(converter: Converter, family: tuple[type[Any], ...]) -> None:
    """Have values of these classes carry the name of theirs; where a base is asked for, they are read by it.

    The strategy of cattrs for this collects garbage for each base, to be sure of the subclasses that it
    looks for: a tenth of a second in every process that starts. Here the classes are known.
    """
    writers = {kind: converter.get_unstructure_hook(kind, cache_result=False) for kind in family}
    readers = {kind: converter.get_structure_hook(kind, cache_result=False) for kind in family}

    def write(value: Any) -> dict[str, Any]:
        fields: dict[str, Any] = writers[type(value)](value)
        fields[_TAG] = type(value).__name__
        return fields

    def reader(base: type[Any]) -> Any:
        known = {kind.__name__: (kind, readers[kind]) for kind in family if issubclass(kind, base)}

        def read(fields: dict[str, Any], _: type[Any]) -> Any:
            kind, hook = known[fields[_TAG]]
            return hook(fields, kind)

        return read

    for kind in family:
        same = partial(is_, kind)  # what is registered for a class itself would hold for its subclasses too
        converter.register_unstructure_hook_func(same, write)
        if any(kind in other.__bases__ for other in family):
            converter.register_structure_hook_func(same, reader(kind))


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
