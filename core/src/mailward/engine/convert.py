"""From TOML values to settings: one reader for every type a settings class may use, errors as problems."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.errors import StructureHandlerNotFoundError

from mailward.hooks.settings import ByteSize, Seconds, Secret, also_of, is_settings
from mailward.hooks.template import Template
from mailward.values.action import ACTIONS, Action, Tag
from mailward.values.address import Address
from mailward.values.errors import ConfigError, Problem
from mailward.values.masks import Masks
from mailward.values.reply import Reply

T = TypeVar("T")

_SIZES = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_TIMES = {"": 1, "ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}
_AMOUNT = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
_OF_THE_BODY = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "mime-version"})
_TAG_EXAMPLE = '{ action = "tag", subject = "[suspicious]", headers = { "X-Seen" = "yes" } }'
_WORDS: dict[type, str] = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def structure(kind: type[T], table: Mapping[str, Any], key: str, source: str) -> T:
    """Build the settings class ``kind`` from a TOML table; ``key`` is the table's dotted name.

    Raises ConfigError with every problem of the table: unknown keys (with the nearest known one),
    wrong types, values out of range, missing keys.
    """
    attrs.resolve_types(cast(Any, kind))
    fields = {field.name: field for field in attrs.fields(cast(Any, kind)) if field.init}
    others = {also: field.name for field in fields.values() for also in also_of(field)}
    given = {others.get(written, written) for written in table}
    found: list[Problem] = []
    values: dict[str, Any] = {}
    for written, value in table.items():
        where = f"{key}.{written}" if key else written
        name = others.get(written, written)
        if name not in fields:
            nearest = difflib.get_close_matches(name, fields, 1)
            found.append(
                Problem(
                    where, "is not a setting", _show(value), ", ".join(sorted(fields)), nearest[0] if nearest else ""
                )
            )
            continue
        if name in values:
            found.append(Problem(where, f"is another name of {name}, which is set too; write one of them"))
            continue
        try:
            values[name] = _read_setting(value, fields[name].type, where, source)
            if fields[name].validator is not None:
                cast(Any, fields[name].validator)(None, fields[name], values[name])
        except ConfigError as error:
            found += error.problems
        except (ValueError, TypeError, AttributeError, BaseValidationError, StructureHandlerNotFoundError) as error:
            shown = "" if _is_secret(fields[name].type) else _show(value)
            found += [Problem(where, text, shown) for text in _texts_of(error)]
    missing = [n for n, f in fields.items() if n not in given and f.default is attrs.NOTHING]
    found += [Problem(f"{key}.{name}" if key else name, "is missing") for name in missing]
    if found:
        raise ConfigError(source, found)
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(source, [Problem(key, str(error))]) from error


def _read_setting(value: Any, kind: Any, where: str, source: str) -> Any:
    """The value of one setting; raises ConfigError for problems inside tables of settings, each under its own key."""
    if is_settings(kind):
        return structure(kind, _table(value), where, source)
    if get_origin(kind) is not dict or not is_settings(get_args(kind)[1]):
        return read(value, kind)
    tables: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, table in _table(value).items():
        try:
            tables[key] = _read_setting(table, get_args(kind)[1], f"{where}.{key}", source)
        except ConfigError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(Problem(f"{where}.{key}", str(error)))
    if problems:
        raise ConfigError(source, problems)
    return tables


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{_show(value)} is not a table; write it as {{ key = value }}")
    return value


def read(value: Any, kind: Any) -> Any:
    """One value as ``kind``; raises ValueError or a cattrs error whose leaves are ValueErrors."""
    _check_shape(value, kind)
    return _CONVERTER.structure(value, kind)


def _check_shape(value: Any, kind: Any) -> None:
    """Lists are lists and tables are tables: a text is not taken for a list of letters."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{_show(value)} is not a list; write it in brackets")
        for item in value:
            _check_shape(item, arguments[0])
    elif origin is dict:
        for item in _table(value).values():
            _check_shape(item, arguments[1])


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _texts_of(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _texts_of(inner)
    elif isinstance(error, StructureHandlerNotFoundError):
        yield "has a type that cannot be read"
    else:
        yield str(error)


def _amount(value: object, units: Mapping[str, float], what: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return value
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        allowed = ", ".join(unit for unit in units if unit)
        raise ValueError(f"is not {what}; allowed: a number, alone or followed by one of {allowed}")
    return float(match[1]) * units[match[2]]


def _strict(kind: type) -> Callable[[object, Any], Any]:
    def check(value: object, wanted: Any) -> Any:
        if isinstance(wanted, type) and issubclass(wanted, Enum):  # found by its base, as in StrEnum
            return _enum(value, wanted)
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise ValueError(f"{_show(value)} is not {_WORDS[kind]}")
        return value

    return check


def _action(value: object, kind: type[Action]) -> Action:
    known = {name: action for name, action in ACTIONS.items() if issubclass(action, kind)}
    fields = {"action": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or "action" not in fields:
        raise ValueError(f"is not an action; allowed: {', '.join(known)}, or a table with action = …")
    name = fields["action"]
    if not isinstance(name, str) or name not in known:
        nearest = difflib.get_close_matches(str(name), known, 1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"{_show(name)} is not an action that can be set here; allowed: {', '.join(known)}{hint}")
    rest = {key: item for key, item in fields.items() if key != "action"}
    if isinstance(headers := rest.get("headers"), dict):
        rest["headers"] = [list(pair) for pair in headers.items()]
    try:
        made = structure(known[name], rest, name, "")
    except ConfigError as error:
        raise ValueError("; ".join(str(problem) for problem in error.problems)) from error
    if isinstance(made, Tag):
        _check_tag(made)
    return made


def _check_tag(tag: Tag) -> None:
    """A tag marks something, and its header fields can be written."""
    if not tag.subject and not tag.headers:
        raise ValueError(f"a tag marks with a subject, with headers, or both; write {_TAG_EXAMPLE}")
    for name, _ in tag.headers:
        if _FIELD_NAME.fullmatch(name) is None:
            raise ValueError(f"tag.headers: {name!r} is not the name of a header field (RFC 5322 section 2.2)")
        if name.lower() in _OF_THE_BODY:
            raise ValueError(f"tag.headers: {name!r} says how the body is to be read; allowed: every other field")


def _nested(value: object, kind: Any) -> Any:
    """A table that is a settings class of its own; problems name the key inside the table."""
    try:
        return structure(kind, _table(value), "", "")
    except ConfigError as error:
        raise ValueError("; ".join(str(problem) for problem in error.problems)) from error


def _reply(value: object, _: Any) -> Reply:
    if not isinstance(value, str):
        raise ValueError("is not a reply; allowed: text such as '550 5.7.1 Refused'")
    reply = Reply.parse(value)
    if not reply.refuses:
        raise ValueError("does not refuse; allowed: a reply that starts with 4 or 5")
    return reply


def _masks(value: object, _: Any) -> Masks:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(item, str) for item in texts):
        raise ValueError('is not a list of masks; allowed: ["*.example", …] with * and ?')
    return Masks(tuple(texts))


def _enum(value: object, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise ValueError(f"{_show(value)} is unknown; allowed: {allowed}") from None


def _template(value: object, _: Any) -> Template:
    text = _strict(str)(value, str)
    if not text:
        return Template()
    import jinja2  # as late as the template itself does: see there

    try:
        return Template(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"is not a template: line {error.lineno}: {error.message}") from error


def _secret(value: object, _: Any) -> Secret:
    if not isinstance(value, str):
        raise ValueError("is not text in quotes")  # the value itself is not shown
    return Secret(value)


def _is_secret(kind: Any) -> bool:
    inside: Iterable[Any] = get_args(kind)
    if is_settings(kind):
        inside = [field.type for field in attrs.fields(attrs.resolve_types(kind))]
    return kind is Secret or any(map(_is_secret, inside))


def _address(value: object, _: Any) -> Address:
    if not isinstance(value, str) or not value:
        raise ValueError("is not an address; allowed: local@domain")
    return Address.parse(value)


def _make() -> Converter:
    made = Converter(forbid_extra_keys=True)
    text = _strict(str)
    by_class: dict[type, Callable[[Any, Any], Any]] = {
        **{kind: _strict(kind) for kind in _WORDS},
        Masks: _masks,
        Address: _address,
        Reply: _reply,
        Template: _template,
        Secret: _secret,
        Path: lambda value, _: Path(text(value, str)),
    }
    for kind, hook in by_class.items():
        made.register_structure_hook(kind, hook)
    made.register_structure_hook(Enum, _enum)
    made.register_structure_hook_func(lambda t: isinstance(t, type) and issubclass(t, Action), _action)
    made.register_structure_hook_func(is_settings, _nested)
    made.register_structure_hook_func(
        lambda t: t is ByteSize, lambda value, _: ByteSize(int(_amount(value, _SIZES, "a size")))
    )
    made.register_structure_hook_func(
        lambda t: t is Seconds, lambda value, _: Seconds(float(_amount(value, _TIMES, "a duration")))
    )
    return made


_CONVERTER = _make()
