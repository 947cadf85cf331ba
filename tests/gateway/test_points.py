"""Where a configuration listens: every address once, whichever way it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailward import ConfigError
from mailward.engine.config import parse_config
from mailward.gateway.plan import points_of


def points(text: str) -> list[tuple[str, str]]:
    return [(point.listener, point.address) for point in points_of(parse_config(text, "mailward.toml", Path()))]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:2525", "127.0.0.1:2525"),
        ("localhost:2525", "127.0.0.1:2525"),
        (":2525", "[::]:2525"),
        ("[::1]:2525", "[0:0:0:0:0:0:0:1]:2525"),
    ],
)
def test_an_address_that_two_listeners_have_is_an_error(first: str, second: str) -> None:
    text = f'[listener.world]\nlisten = ["{first}"]\n[listener.people]\nlisten = ["{second}"]\nauth = "required"\n'
    with pytest.raises(ConfigError, match=r"listener\.people\.listen.*is an address that listener\.world\.listen has"):
        points(text + "auth_without_tls = true\n")


def test_an_address_that_one_listener_has_twice_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"gateway\.listen has too"):
        points('[gateway]\nlisten = ["127.0.0.1:2525", "127.0.0.1:2525"]\n')


def test_ports_of_the_systems_choice_and_other_ports_are_no_repetition() -> None:
    text = '[gateway]\nlisten = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:2525", "127.0.0.2:2525", "[::1]:2525"]\n'
    assert len(points(text)) == 5


@pytest.mark.parametrize("port", ["²", "٣", "", "x", "65536"])
def test_a_port_that_is_no_number_is_told_with_its_setting(port: str) -> None:
    with pytest.raises(ConfigError, match=r"listener\.a\.listen.*is not an address and a port"):
        points(f'[listener.a]\nlisten = ["127.0.0.1:{port}"]\n')
