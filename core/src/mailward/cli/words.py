"""Settings in words: types, defaults and help, from the settings classes themselves."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import attrs
from attrs import frozen

from mailward.hooks.settings import ByteSize, Seconds, Secret, help_of, is_settings
from mailward.hooks.template import Template
from mailward.values.action import ACTIONS, Action
from mailward.values.address import Address
from mailward.values.masks import Masks
from mailward.values.reply import Reply

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    ByteSize: 'size, as in 1048576 or "1 MB"',
    Seconds: 'duration, as in 90 or "5 min"',
    Path: "path",
    Masks: "list of masks with * and ?",
    Secret: "secret text",
    Template: "template (Jinja2)",
    Address: "address",
    Reply: 'reply, as in "550 5.7.1 No"',
    Any: "anything",
    type(None): "nothing",
}
_FACTORY_WORDS = {
    "hostname": "the name of the machine",
    "workers": "the number of processors",
    "gateways": "the number of processors",
    "sessions": "twice the number of processors, 10 at least",
}
_SIZES = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))
_TIMES = ((86_400, "d"), (3600, "h"), (60, "min"))
_DOCUMENTED = re.compile(r"``(\w+)``: (.*?)(?=[.,;] ``|\.\s|\.$|;)", re.DOTALL)


@frozen
class Setting:
    """One setting, as it is shown in tables."""

    name: str
    type: str
    default: str
    help: str


def settings_of(kind: type[Any]) -> tuple[Setting, ...]:
    """The settings of a settings class, in order."""
    attrs.resolve_types(kind)
    documented = _documented(kind)
    return tuple(
        Setting(
            field.name, type_words(field.type), _default_words(field), help_of(field) or documented.get(field.name, "")
        )
        for field in attrs.fields(kind)
        if field.init
    )


def _documented(kind: type[Any]) -> dict[str, str]:
    """What a class says of its fields in its docstring, as ``name``: text."""
    said = dict(_DOCUMENTED.findall(" ".join((kind.__doc__ or "").split())))
    beside = {field.name: name for name, words in said.items() for field in attrs.fields(kind) if field.name in words}
    return {**{name: f"see ``{other}``" for name, other in beside.items()}, **said}


def type_words(kind: Any) -> str:
    """A type of a setting in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    arguments = get_args(kind)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(one) for one in arguments if one is not type(None))
    if origin is dict:
        return "table of tables" if is_settings(arguments[1]) else f"table of {type_words(arguments[1])}"
    if origin in (tuple, list, frozenset, set):
        return f"list of {_plural(type_words(arguments[0]))}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(str(member.value) for member in kind)
    if isinstance(kind, type) and issubclass(kind, Action):
        known = [name for name, action in ACTIONS.items() if issubclass(action, kind)]
        return "action" if len(known) == len(ACTIONS) else f"action: {', '.join(known)}"
    if is_settings(kind):
        return "table"
    if isinstance(kind, type) and attrs.has(kind):
        return f"table with {', '.join(field.name for field in attrs.fields(kind) if field.init)}"
    return str(getattr(kind, "__name__", kind))


def _plural(words: str) -> str:
    if not words.isalpha():
        return words
    return f"{words}es" if words.endswith("s") else f"{words}s"


def _default_words(field: attrs.Attribute[Any]) -> str:
    default: Any = field.default
    if default is attrs.NOTHING:
        return "(required)"
    if is_settings(field.type):
        return "(see its table)"
    if not hasattr(default, "takes_self"):
        return toml(default, field.type)
    return _FACTORY_WORDS.get(field.name) or toml(default.factory(), field.type)


def toml(value: Any, kind: Any = None) -> str:
    """A value as it would be written in the configuration file."""
    if kind is ByteSize:
        return _amount(value, _SIZES, "")
    if kind is Seconds:
        return _amount(value, _TIMES, "s")
    match value:
        case None:
            return "(not set)"
        case bool():
            return "true" if value else "false"
        case Enum():
            return json.dumps(value.value)
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Path() if value == Path():
            return '""'
        case Secret():
            return '""' if not value else '"********"'
        case Action():
            return _action(value)
        case Masks():
            return toml(value.patterns)
        case Mapping():
            return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }" if value else "{}"
        case tuple() | list() | frozenset() | set():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _amount(value: float, units: tuple[tuple[int, str], ...], smallest: str) -> str:
    for factor, unit in units:
        if value and value % factor == 0:
            return f'"{int(value // factor)} {unit}"'
    return f'"{value:g} {smallest}"' if smallest else str(value)


def _action(action: Action) -> str:
    fields = {
        field.name: getattr(action, field.name)
        for field in attrs.fields(type(action))
        if field.init and getattr(action, field.name) != field.default
    }
    if not fields:
        return json.dumps(action.name)
    rest = "".join(f", {name} = {toml(value)}" for name, value in fields.items())
    return f"{{ action = {json.dumps(action.name)}{rest} }}"
