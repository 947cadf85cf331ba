"""What docs/smtp.md shows is read, and what it says of settings is so."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from mailward.engine.config import Config, parse_config
from mailward.engine.diagnostics_settings import DiagnosticsSettings
from mailward.engine.gateway_settings import WHOLE_GATEWAY, GatewaySettings
from mailward.gateway.session import MECHANISMS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "smtp.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def read(text: str) -> Config:
    return parse_config(text, "docs/smtp.md", Path())


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_is_a_configuration(number: int) -> None:
    assert read(BLOCKS[number]).listeners


def test_the_listeners_are_those_of_the_text() -> None:
    listeners = {one.name: one.settings for one in read(BLOCKS[0]).listeners}
    assert list(listeners) == ["mx", "submission", "submissions", "store"]
    assert {one.hostname for one in listeners.values()} == {"mx.example.com"}
    assert [str(one.tls) for one in listeners.values()] == ["starttls", "required", "implicit", "off"]


def test_every_setting_that_is_named_exists() -> None:
    known = {field.name for kind in (GatewaySettings, DiagnosticsSettings) for field in attrs.fields(kind)}
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named
    assert named <= known


def test_the_keys_of_the_whole_gateway_are_named() -> None:
    (named,) = re.findall(r"Keys of the whole gateway \((.*?)\)", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", named)) == WHOLE_GATEWAY


def test_the_ways_to_log_in_are_named() -> None:
    assert f"the ways are {' and '.join(MECHANISMS)}" in PAGE
