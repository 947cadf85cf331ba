"""Values of TOML as the types that settings may have."""

from __future__ import annotations

from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import (
    Action,
    Address,
    ByteSize,
    ConfigError,
    Forward,
    Hold,
    Masks,
    MessageAction,
    PartAction,
    Reject,
    Reply,
    Seconds,
    Secret,
    Tag,
    Template,
    between,
    setting,
)
from mailward.engine.convert import read, structure


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


class Colour(Enum):
    RED = "red"


@frozen
class Inner:
    name: str
    size: int = 1


@frozen
class Settings:
    number: int = setting(1, help="a number")
    password: Secret = setting(Secret(), help="a secret")
    needed: str = setting(help="has no default")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, int, 1),
        (1, float, 1.0),
        ("a", str, "a"),
        (False, bool, False),
        (1024, ByteSize, 1024),
        ("1 MB", ByteSize, 1024**2),
        ("1.5KB", ByteSize, 1536),
        ("90", Seconds, 90.0),
        ("250 ms", Seconds, 0.25),
        ("5 min", Seconds, 300.0),
        (2, Seconds | None, 2.0),
        ("x/y", Path, Path("x/y")),
        ("*@a", Masks, Masks(("*@a",))),
        (["a", "b"], Masks, Masks(("a", "b"))),
        ("one", Word, Word.ONE),
        ("red", Colour, Colour.RED),
        ("a@B.example", Address, Address("a", "b.example")),
        ("550 5.7.1 No", Reply, Reply(550, "5.7.1", "No")),
        ("hi {{ x }}", Template, Template("hi {{ x }}")),
        ("s", Secret, Secret("s")),
        ("hold", Action, Hold()),
        ("hold", MessageAction, Hold()),
        ({"action": "forward", "to": "a@b"}, Action, Forward(to=Address("a", "b"))),
        ({"action": "tag", "headers": [["X-A", "1"]]}, Action, Tag(headers=(("X-A", "1"),))),
        ({"action": "tag", "headers": {"X-A": "1", "X-B": "2"}}, Action, Tag(headers=(("X-A", "1"), ("X-B", "2")))),
        ({"action": "reject", "reply": "554 5.7.1 Virus"}, Action, Reject(Reply(554, "5.7.1", "Virus"))),
        (["hold", "reject"], tuple[Action, ...], (Hold(), Reject())),
        ({"a": ["x"]}, dict[str, tuple[str, ...]], {"a": ("x",)}),
        ({"name": "n"}, Inner, Inner("n")),
    ],
)
def test_a_value_is_read(value: Any, kind: Any, expected: Any) -> None:
    found = read(value, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("1", int, "is not a whole number"),
        (True, int, "is not a whole number"),
        ("true", bool, "is not true or false"),
        (5, str, "is not text in quotes"),
        ("1 XB", ByteSize, "KB, MB, GB, TB"),
        (-1, ByteSize, "is not a size"),
        (True, ByteSize, "is not a size"),
        ([], Seconds, "is not a duration"),
        ("three", Word, "allowed: one, two"),
        ("blue", Colour, "allowed: red"),
        (5, Masks, "is not a list of masks"),
        (["a", 5], Masks, "is not a list of masks"),
        ("no address", Address, "local@domain"),
        ("", Address, "local@domain"),
        ("250 OK", Reply, "starts with 4 or 5"),
        (550, Reply, "is not a reply"),
        ("{% if %}", Template, "line 1"),
        ("holt", Action, "did you mean 'hold'?"),
        ("delete", MessageAction, "allowed: reject, defer"),
        ("hold", PartAction, "allowed: repair, delete, placeholder"),
        (5, Action, "is not an action"),
        ({"to": "a@b"}, Action, "is not an action"),
        ({"action": ["hold"]}, Action, "is not an action"),
        ("forward", Action, "forward.to: is missing"),
        ({"action": "hold", "to": "a@b"}, Action, "hold.to = 'a@b': is not a setting"),
        ("ab", tuple[str, ...], "is not a list"),
        ("ab", dict[str, str], "is not a table"),
        ({"action": "tag", "headers": ["ab"]}, Action, "is not a list"),
        ("tag", Action, 'write { action = "tag", subject = "[suspicious]"'),
        ({"action": "tag", "headers": {}}, Action, "a tag marks with a subject"),
        ({"action": "tag", "headers": {"X A": "1"}}, Action, "'X A' is not the name of a header field"),
        ({"action": "tag", "headers": {"": "1"}}, Action, "'' is not the name of a header field"),
        ({"action": "tag", "headers": {"Content-Type": "text/html"}}, Action, "says how the body is to be read"),
        ("{% include '/etc/passwd' %}", Template, "line 1: a text cannot take in other templates"),
        ("a\n{% extends 'x' %}", Template, "line 2: a text cannot take in other templates"),
    ],
)
def test_a_wrong_value_is_told_in_words(value: Any, kind: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        read(value, kind)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [{"name": 5}, {"size": 1}, 5, {"name": "n", "more": 1}])
def test_a_wrong_nested_table_is_a_problem_and_no_crash(value: object) -> None:
    @frozen
    class Outer:
        inner: Inner | None = setting(None, help="nested")

    with pytest.raises(ConfigError) as caught:
        structure(Outer, {"inner": value}, "outer", "file")
    assert {problem.key for problem in caught.value.problems} == {"outer.inner"}


def test_a_missing_setting_and_an_unknown_one_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        structure(Settings, {"numbr": 2}, "mine", "file")
    assert [(p.key, p.message, p.nearest) for p in caught.value.problems] == [
        ("mine.numbr", "is not a setting", "number"),
        ("mine.needed", "is missing", ""),
    ]


def test_a_secret_is_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        structure(Settings, {"password": ["hunter2"], "needed": ""}, "mine", "file")
    assert "hunter2" not in str(caught.value)
    found = structure(Settings, {"password": "hunter2", "needed": ""}, "mine", "file")
    assert "hunter2" not in repr(found)
    assert found.password.reveal() == "hunter2"


@frozen
class Door:
    key: Secret = setting(Secret(), help="what opens it")
    width: int = setting(1, validator=between(1, 3), help="how wide it is")


@frozen
class House:
    doors: dict[str, Door] = setting(factory=dict, help="doors by name")
    gate: Door = setting(factory=Door, help="the gate")


def test_settings_may_hold_tables_of_settings() -> None:
    made = structure(House, {"doors": {"back": {"width": 2}}, "gate": {"key": "sesame"}}, "house", "file")
    assert made.doors["back"].width == 2
    assert made.gate.key.reveal() == "sesame"


def test_a_problem_in_a_table_of_settings_names_its_key_and_shows_no_secret() -> None:
    table = {"doors": {"back": {"width": 9, "key": "sesame", "colour": "red"}}, "gate": 7}
    with pytest.raises(ConfigError) as error:
        structure(House, table, "house", "file")
    text = str(error.value)
    problems = (
        "house.doors.back.width = 9: out of range; allowed: 1 to 3",
        "house.doors.back.colour",
        "house.gate: 7 is",
    )
    for said in problems:
        assert said in text
    assert "sesame" not in text


@frozen
class Renamed:
    """A setting with an older name."""

    types: tuple[str, ...] = setting((), help="types", also=("mime_types", "kinds"))
    needed: int = setting(help="needed", also=("wanted",))


def test_a_setting_may_be_written_under_its_other_names() -> None:
    assert structure(Renamed, {"kinds": ["a"], "wanted": 1}, "mine", "file") == Renamed(types=("a",), needed=1)


def test_a_setting_written_under_two_names_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="is another name of types, which is set too"):
        structure(Renamed, {"types": ["a"], "kinds": ["b"], "needed": 1}, "mine", "file")


def test_a_wrong_value_is_told_under_the_name_that_was_written() -> None:
    with pytest.raises(ConfigError, match=r"mine\.wanted"):
        structure(Renamed, {"wanted": "one"}, "mine", "file")


def test_ima_act_05_a_redirection_without_an_address_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"forward\.to: is missing"):
        read({"action": "forward"}, Action)
    assert read({"action": "forward", "to": "a@b.example"}, Action) == Forward(to=Address("a", "b.example"))
