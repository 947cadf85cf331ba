"""What is wrong with plugins is told when the engine is built, with plugin, hook and signatures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import ConfigError, Engine, OnFailure, Part, Plugin, hookimpl, setting

Build = Callable[..., Engine]


def problem(engine: Build, kind: type[Plugin], toml: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        engine({"mine": kind}, toml)
    return str(caught.value)


def test_a_misspelt_hook_is_told_with_the_nearest_one(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_prat(self, part: Part) -> None:
            """Misspelt."""

    said = problem(engine, Mine)
    assert "plugin 'mine' marks 'scan_prat' as a hook" in said
    assert "did you mean 'scan_part'?" in said


def test_a_wrong_parameter_is_told_with_both_signatures(engine: Build) -> None:
    class Mine(Plugin):
        @hookimpl
        def scan_part(self, part: Part, scanner: object) -> None:
            """Wrong."""

    said = problem(engine, Mine)
    assert "plugin 'mine', hook 'scan_part': parameter 'scanner'" in said
    assert "written: scan_part(part: 'Part', scanner: 'object')" in said
    assert "specified: scan_part(part, scan)" in said


@pytest.mark.parametrize("variadic", ["args", "kwargs"])
def test_variadic_parameters_are_refused(engine: Build, variadic: str) -> None:
    class Args(Plugin):
        @hookimpl
        def scan_part(self, *part: Any) -> None:
            """Takes anything."""

    class Kwargs(Plugin):
        @hookimpl
        def scan_part(self, **scan: Any) -> None:
            """Takes anything."""

    assert "parameter" in problem(engine, Args if variadic == "args" else Kwargs)


def test_settings_are_checked_when_the_engine_is_built(engine: Build) -> None:
    class Mine(Plugin):
        @frozen
        class Settings:
            size: int = setting(1, help="a number")

    assert "mine.sise = 2: is not a setting; allowed: size; did you mean 'size'?" in problem(
        engine, Mine, "[mine]\nsise = 2"
    )
    assert "policy.p.mine.size = 'x': 'x' is not a whole number" in problem(
        engine, Mine, "[policy.p]\nrecipients = '*'\nmine.size = 'x'"
    )


def test_a_setup_that_objects_is_told_in_its_words(engine: Build) -> None:
    class Mine(Plugin):
        def setup(self) -> None:
            raise ValueError("minimum is over maximum")

    assert "mine: minimum is over maximum" in problem(engine, Mine)


def test_a_setup_that_fails_is_told_with_the_place(engine: Build) -> None:
    class Mine(Plugin):
        def setup(self) -> None:
            Path("/no/such/file").read_text()

    assert "mine: cannot be built: FileNotFoundError" in problem(engine, Mine)


def test_settings_that_are_no_attrs_class_are_told(engine: Build) -> None:
    class Mine(Plugin):
        class Settings:
            size = 1

    assert "mine:" in problem(engine, Mine, "[mine]\nsize = 1")


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("on_failure = 'shrug'", "mine.on_failure"),
        ("timeout_s = 0", "mine.timeout_s"),
        ("timeout_s = 'soon'", "mine.timeout_s"),
        ("shadow = 'false'", "mine.shadow"),
    ],
)
def test_the_keys_of_every_section_are_checked(engine: Build, toml: str, key: str) -> None:
    assert f"{key} = " in problem(engine, Plugin, f"[mine]\n{toml}")


def test_the_administrator_overrides_what_the_plugin_declares(engine: Build) -> None:
    class Mine(Plugin):
        on_failure = OnFailure.IGNORE
        timeout_s = 5.0

    (plain,) = engine({"mine": Mine}).policies.instances
    assert (plain.on_failure, plain.timeout_s, plain.shadow) == (OnFailure.IGNORE, 5.0, False)
    toml = "[mine]\non_failure = 'defer'\ntimeout_s = '2 min'\nshadow = true"
    (set_,) = engine({"mine": Mine}, toml).policies.instances
    assert (set_.on_failure, set_.timeout_s, set_.shadow) == (OnFailure.DEFER, 120.0, True)


def test_a_section_that_belongs_to_nobody_is_told_with_the_nearest(engine: Build) -> None:
    said = problem(engine, Plugin, "[mien]\nx = 1")
    assert "mien: is no section of the core and no enabled plugin" in said
    assert "did you mean 'mine'?" in said


def test_the_section_of_an_installed_plugin_that_is_not_enabled_is_no_error(engine: Build) -> None:
    engine({"mine": Plugin}, "[antivirus]\neicar = true")


def test_a_policy_of_a_plugin_that_is_not_enabled_is_told(engine: Build) -> None:
    said = problem(engine, Plugin, "[policy.p]\nrecipients = '*'\nantivirus.eicar = true")
    assert "policy.p.antivirus: is no enabled plugin" in said


def test_two_plugins_of_one_name_are_told_and_neither_is_forgotten(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rules.py").write_text("from mailward import Plugin\nclass Mine(Plugin):\n    pass\n")
    config = tmp_path / "mailward.toml"
    config.write_text('plugins = ["./a/rules.py", "./b/rules.py"]')
    with pytest.raises(ConfigError, match=r"would have the section \[rules\]"):
        Engine.from_config(config)


def test_a_plugin_with_the_name_of_a_core_section_is_told(tmp_path: Path) -> None:
    (tmp_path / "gateway.py").write_text("from mailward import Plugin\nclass Mine(Plugin):\n    pass\n")
    config = tmp_path / "mailward.toml"
    config.write_text('plugins = ["./gateway.py"]')
    with pytest.raises(ConfigError, match=r"would have the section \[gateway\], which is that of the core"):
        Engine.from_config(config)


def test_all_problems_of_all_plugins_are_told_at_once(engine: Build) -> None:
    class Bad(Plugin):
        def setup(self) -> None:
            raise ValueError("bad")

    with pytest.raises(ConfigError) as caught:
        engine({"one": Bad, "two": Bad})
    assert [problem.key for problem in caught.value.problems] == ["one", "two"]


def test_a_plugin_that_does_not_start_stops_those_before_it(engine: Build) -> None:
    order: list[str] = []

    class Good(Plugin):
        @hookimpl
        def start(self) -> None:
            order.append("start")

        @hookimpl
        def stop(self) -> None:
            order.append("stop")

    class Bad(Plugin):
        @hookimpl
        def start(self) -> None:
            raise OSError("no scanner")

        @hookimpl
        def stop(self) -> None:
            order.append("never")

    built = engine({"good": Good, "bad": Bad})
    with pytest.raises(ConfigError, match="bad: does not start: OSError: no scanner"):
        asyncio.run(built.start())
    assert order == ["start", "stop"]


def test_a_plugin_without_settings_has_none_to_set(engine: Build) -> None:
    assert "mine.x = 1: is not a setting" in problem(engine, Plugin, "[mine]\nx = 1")


def test_a_method_named_like_a_hook_without_the_mark_is_an_error(engine: Build) -> None:
    class Mine(Plugin):
        def scan_part(self, part: Part) -> None:
            return None

    said = problem(engine, Mine)
    assert "'scan_part', the name of a hook, without the mark" in said
    assert "put @hookimpl above it" in said


class Half(Plugin):
    """Has nothing to do where it is told so."""

    @frozen
    class Settings:
        idle: tuple[str, ...] = setting((), help="hooks without work")

    def setup(self) -> None:
        self.idle = frozenset(self.settings.idle)

    @hookimpl
    def scan_part(self, part: Part) -> None:
        """Looks."""

    @hookimpl
    def start(self) -> None:
        """Begins."""


def test_an_idle_hook_is_not_called(engine: Build) -> None:
    (busy,) = engine({"mine": Half}).policies.instances
    assert set(busy.implementations) == {"scan_part", "start"}
    (half,) = engine({"mine": Half}, '[mine]\nidle = ["scan_part"]').policies.instances
    assert set(half.implementations) == {"start"}


def test_an_idle_hook_that_is_none_is_an_error(engine: Build) -> None:
    assert "calls 'scan_prat' idle, which is no hook" in problem(engine, Half, '[mine]\nidle = ["scan_prat"]')
