"""Settings in words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import (
    Action,
    Address,
    ByteSize,
    Forward,
    Hold,
    Masks,
    MessageAction,
    Quarantine,
    Seconds,
    Secret,
    Template,
    setting,
)
from mailward.cli.words import settings_of, toml, type_words
from mailward.engine.core_settings import CoreSettings
from mailward.mime import Limits


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


@frozen
class Inner:
    name: str = ""
    size: int = 1


@frozen
class Section:
    """Settings within settings."""

    width: int = setting(1, help="how wide")


@frozen
class House:
    front: Section = setting(factory=Section, help="the front")
    doors: dict[str, Section] = setting(factory=dict, help="doors by name")


def test_settings_within_settings_have_a_table_of_their_own() -> None:
    front, doors = settings_of(House)
    assert (front.type, front.default) == ("table", "(see its table)")
    assert (doors.type, doors.default) == ("table of tables", "{}")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (int, "whole number"),
        (Seconds | None, 'duration, as in 90 or "5 min"'),
        (tuple[str, ...], "list of texts"),
        (tuple[Address, ...], "list of addresses"),
        (dict[str, int], "table of whole number"),
        (Word, "one | two"),
        (Action, "action"),
        (MessageAction, "action: reject, defer, drop, bounce, hold, quarantine, forward, deliver"),
        (Inner, "table with name, size"),
        (Masks, "list of masks with * and ?"),
    ],
)
def test_types_in_words(kind: Any, words: str) -> None:
    assert type_words(kind) == words


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, bool, "true"),
        (5, int, "5"),
        (1.5, float, "1.5"),
        ('say "x"', str, '"say \\"x\\""'),
        (Path("a/b"), Path, '"a/b"'),
        (Path(), Path, '""'),
        (ByteSize(50 * 1024**2), ByteSize, '"50 MB"'),
        (ByteSize(1000), ByteSize, "1000"),
        (Seconds(300.0), Seconds, '"5 min"'),
        (Seconds(0.5), Seconds, '"0.5 s"'),
        (Masks(("a", "*")), Masks, '["a", "*"]'),
        (Word.ONE, Word, '"one"'),
        (Hold(), Action, '"hold"'),
        (Forward(to=Address("a", "b")), Action, '{ action = "forward", to = "a@b" }'),
        ((Hold(), Quarantine()), tuple[Action, ...], '["hold", "quarantine"]'),
        ({}, dict[str, str], "{}"),
        ({"a b": 1}, dict[str, int], '{ "a b" = 1 }'),
        (Secret("hunter2"), Secret, '"********"'),
        (Template("Hi {{ x }}"), Template, '"Hi {{ x }}"'),
        (None, Seconds | None, "(not set)"),
    ],
)
def test_values_as_they_are_written(value: Any, kind: Any, text: str) -> None:
    assert toml(value, kind) == text


def test_a_settings_class_says_all_of_itself() -> None:
    @frozen
    class Settings:
        needed: str = setting(help="has to be there")
        names: dict[str, str] = setting(factory=dict, help="some names")

    assert [(one.name, one.default, one.help) for one in settings_of(Settings)] == [
        ("needed", "(required)", "has to be there"),
        ("names", "{}", "some names"),
    ]


def test_every_setting_of_the_core_has_a_meaning() -> None:
    import attrs

    for section in attrs.fields(attrs.resolve_types(CoreSettings)):
        assert section.type is not None
        for one in settings_of(section.type):
            assert one.help, f"{section.name}.{one.name} says nothing of itself"


def test_limits_are_explained_by_their_docstring() -> None:
    said = {one.name: one.help for one in settings_of(Limits)}
    assert said["max_parts"].startswith("parts of every kind")
