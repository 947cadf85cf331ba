"""Entries as JSON: a full record once, then small state records.

A full record holds the whole entry. A state record holds only what can change, all of it, so that
a message with large splices does not write them again at every attempt. Text is written as ASCII
(``\\u`` escapes, lone surrogates included), binary data as base64: no record can contain the
footer's magic.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.json import JsonConverter, make_converter

from mailward.spool.entry import Entry, Failure, Queue
from mailward.values.action import ACTIONS, Action
from mailward.values.address import Address
from mailward.values.edit import Splice
from mailward.values.envelope import Recipient
from mailward.values.errors import SpoolError


class Damaged(SpoolError):
    """A queue file holds no state that can be trusted."""


def _read_address(text: str, _: type) -> Address:
    local, _at, domain = text.rpartition("@")
    return Address(local, domain)


def _action_hooks(converter: JsonConverter) -> None:
    write = {kind: make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True) for kind in ACTIONS.values()}
    read = {name: make_dict_structure_fn(kind, converter) for name, kind in ACTIONS.items()}

    def unstructure(action: Action) -> dict[str, Any]:
        fields = write[type(action)](action) if type(action) in write else {}
        return {"action": action.name, **fields}

    def structure(data: dict[str, Any], _: type) -> Action:
        name = data["action"]
        # An action this version does not know is no reason to lose the message that mentions it.
        return read[name](data, ACTIONS[name]) if name in read else Action()

    def is_action(kind: Any) -> bool:
        return isinstance(kind, type) and issubclass(kind, Action)

    converter.register_unstructure_hook_func(is_action, unstructure)
    converter.register_structure_hook_func(is_action, structure)


def _make_converter() -> JsonConverter:
    converter = make_converter(omit_if_default=True, detailed_validation=False)
    converter.register_unstructure_hook(bytes, lambda data: base64.b64encode(data).decode("ascii"))
    converter.register_structure_hook(bytes, lambda text, _: base64.b64decode(text, validate=True))
    converter.register_unstructure_hook(Address, str)
    converter.register_structure_hook(Address, _read_address)
    _action_hooks(converter)
    return converter


_CONVERTER = _make_converter()
_FAST = msgspec.json.Encoder().encode
_ESCAPING = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _dump(fields: dict[str, Any]) -> bytes:
    try:
        data = _FAST(fields)
    except UnicodeEncodeError:
        # A lone surrogate has an escape and no UTF-8.
        data = b"\xff"
    return data if data.isascii() else _ESCAPING(fields).encode("ascii")


def full_record(entry: Entry) -> bytes:
    """The record of everything."""
    return _dump(_CONVERTER.unstructure(entry))


def state_record(entry: Entry) -> bytes:
    """The record of what can change: every field of it, defaults too, since it overrides the full record."""
    verdict = (
        {
            "origin": entry.origin,
            "policy": entry.policy,
            "prefix": _CONVERTER.unstructure(entry.prefix),
            "splices": _CONVERTER.unstructure(entry.splices, tuple[Splice, ...]),
        }
        if entry.amended
        else {}
    )
    return _dump(
        {
            **verdict,
            "id": entry.id,
            "recipients": _CONVERTER.unstructure(entry.envelope.recipients, tuple[Recipient, ...]),
            "reason": entry.reason,
            "created_at": entry.created_at,
            "attempts": entry.attempts,
            "retry_at": entry.retry_at,
            "started": entry.started,
            "results": _CONVERTER.unstructure(entry.results, tuple[Failure, ...]),
            "warned": entry.warned,
            "amended": entry.amended,
        }
    )


def read_record(message_id: str, queue: Queue, full: bytes, state: bytes | None) -> Entry:
    """The entry that a full record and the last state record (None: there is none yet) make.

    Raises Damaged where they cannot be read, or belong to another message.
    """
    try:
        fields = json.loads(full)
        changed = {} if state is None else json.loads(state)
        if fields["id"] != message_id or changed.get("id", message_id) != message_id:
            raise Damaged(f"{message_id}: the record is that of another message")
        if changed:
            fields.setdefault("envelope", {})["recipients"] = changed.pop("recipients")
            fields.update(changed)
        fields["queue"] = queue.value
        return _CONVERTER.structure(fields, Entry)
    except (ValueError, KeyError, TypeError, AttributeError, BaseValidationError) as error:
        raise Damaged(f"{message_id}: the record cannot be read: {error!r}") from error
