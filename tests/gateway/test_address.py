"""Addresses to listen on."""

from __future__ import annotations

import pytest

from mailward.gateway.address import Listen
from mailward.values.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:25", "127.0.0.1", 25),
        ("[::1]:0", "::1", 0),
        (":2525", "", 2525),
        ("localhost:65535", "localhost", 65_535),
    ],
)
def test_an_address_is_read_and_written(text: str, host: str, port: int) -> None:
    listen = Listen.parse(text)
    assert (listen.host, listen.port) == (host, port)
    assert Listen.parse(str(listen)) == listen


@pytest.mark.parametrize(
    "text", ["", "25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"]
)
def test_what_is_no_address_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.listen"):
        Listen.parse(text, "mailward.toml")


def test_a_port_that_is_taken_says_so() -> None:
    with Listen("127.0.0.1", 0).bind() as first:
        first.listen()
        with pytest.raises(ConfigError, match="another program listens there"):
            Listen("127.0.0.1", first.getsockname()[1]).bind("mailward.toml")


def test_an_address_of_another_machine_says_so() -> None:
    with pytest.raises(ConfigError, match="does not have the address"):
        Listen("192.0.2.1", 0).bind("mailward.toml")
