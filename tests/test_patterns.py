"""Regular expressions match alike under every Python: before 3.11.5 one of their forms did not.

Where an iteration of a possessive repeat failed after its first characters, these were taken all the
same (CPython issue 106052). An atomic group as what is repeated gives them back, so nothing else is.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

PACKAGES = ("mailward", "mailward_relay", "mailward_content", "mailward_antivirus", "mailward_archives")
SINGLE = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY, _constants.ATOMIC_GROUP}


def modules() -> Iterator[ModuleType]:
    for package in map(importlib.import_module, PACKAGES):
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def patterns(value: Any, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    """The patterns that a value of a module holds, in tables and attributes of objects too."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from patterns([*value.keys(), *value.values()], depth)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 4:
        for item in value:
            yield from patterns(item, depth + 1)
    elif hasattr(type(value), "__attrs_attrs__") and depth < 4:
        yield from patterns([getattr(value, one.name, None) for one in type(value).__attrs_attrs__], depth + 1)


def wrong_repeats(items: Any) -> list[Any]:
    """What is repeated possessively and is neither one character nor an atomic group, at any depth."""
    wrong = []
    for operator, argument in items:
        if operator is _constants.POSSESSIVE_REPEAT:
            body = argument[2]
            if len(body) != 1 or body[0][0] not in SINGLE:
                wrong.append(body)
        for inner in within(operator, argument):
            wrong += wrong_repeats(inner)
    return wrong


def within(operator: Any, argument: Any) -> list[Any]:
    match str(operator):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [argument[2]]
        case "SUBPATTERN":
            return [argument[3]]
        case "ATOMIC_GROUP":
            return [argument]
        case "BRANCH" | "ASSERT" | "ASSERT_NOT":
            return argument[1] if str(operator) == "BRANCH" else [argument[1]]
        case "GROUPREF_EXISTS":
            return [branch for branch in argument[1:] if branch is not None]
    return []


def parsed(pattern: str | bytes, flags: int = 0) -> Any:
    return _parser.parse(pattern, flags & ~re.UNICODE if isinstance(pattern, bytes) else flags)


def test_what_is_repeated_possessively_is_a_character_or_an_atomic_group() -> None:
    found = {
        (module.__name__, name, pattern.pattern): wrong_repeats(parsed(pattern.pattern, pattern.flags))
        for module in modules()
        for name, value in vars(module).items()
        for pattern in patterns(value)
    }
    assert len(found) > 200
    assert [place for place, wrong in found.items() if wrong] == []


@pytest.mark.parametrize(
    ("pattern", "count"),
    [(r"a*+[bc]++", 0), (r"(?>a?b)*+", 0), (r"(?:a?b)*+", 1), (r"x(?=(y|(?:ab){2,}+))", 1), (r"(?>(?:ab)?+)", 1)],
)
def test_such_are_seen(pattern: str, count: int) -> None:
    assert len(wrong_repeats(parsed(pattern))) == count
