"""The plugin in an engine, through the door."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailward import (
    Address,
    ConfigError,
    Delivery,
    Engine,
    Envelope,
    Masks,
    MessageInfo,
    NextHop,
    NoRoute,
    Recipient,
    Sender,
    Session,
)

CONFIG = """\
plugins = ["mailward_relay.plugin:Relay"]
[plugin]
allow = ["10.0.0.0/8"]
default = "maildir:house"
tls = "may"
idle_s = "5 s"
max_messages = 10
local = {{ "house.example" = "127.0.0.1:{port}", "nowhere.example" = "mx" }}
forward = {{ "*.fwd.example" = "[10.0.0.1:26]", "any.example" = "10.0.0.2" }}
"""


def engine(folder: Path, text: str) -> Engine:
    (folder / "mailward.toml").write_text(text)
    return Engine.from_config(folder / "mailward.toml")


def test_hooks_answer_through_the_engine(tmp_path: Path, peer: Any, blob: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening(), engine(tmp_path, CONFIG.format(port=server.port)) as made:
            gate = made.gate
            stranger, sender = Session(client_ip="203.0.113.9"), Sender(Address.parse("a@sender.example"))
            house, other = (Recipient(Address.parse(f"b@{name}.example")) for name in ("house", "other"))
            assert await gate.locality(house) is True
            assert await gate.locality(other) is False
            info = MessageInfo("m1", Envelope(), 3)
            assert await gate.route(other, info) == (NextHop("maildir", path=str(tmp_path / "house")),)
            hops = await gate.route(house, info)
            assert hops == (NextHop("smtp", "127.0.0.1", server.port),)
            refused = await gate.rcpt_to(stranger, sender, other)
            assert refused.reply is not None
            assert str(refused.reply) == "550 5.7.1 Relaying denied"
            (result,) = await gate.deliver(Delivery(info, sender, (house,), hops[0], blob(b"x\r\n")))
            assert result.status == "delivered"
        assert server.commands[-1] == "QUIT"

    asyncio.run(run())


def test_no_route_passes_through_the_engine(tmp_path: Path, dns_server: str) -> None:
    async def run() -> None:
        text = CONFIG.format(port=25) + f'[dns]\nservers = ["{dns_server}"]\n'
        async with engine(tmp_path, text) as made:
            with pytest.raises(NoRoute):
                await made.gate.route(Recipient(Address.parse("b@nowhere.example")), MessageInfo("m1", Envelope(), 3))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('local = { "x.example" = "a b" }', "local: 'x.example' = 'a b': is no target; allowed: "),
        ("mail_timeout_s = 0", "mail_timeout_s = 0: out of range; allowed: 1 to 1200"),
        ('tls = "sometimes"', "allowed: none, may, encrypt"),
        ('allow = ["mail.*"]', "allow: 'mail.*' is no client; allowed: "),
        ('forbidden_characters = "a"', "forbidden_characters = 'a'"),
    ],
)
def test_wrong_configuration_names_file_key_and_what_is_allowed(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        engine(tmp_path, f'plugins = ["mailward_relay.plugin:Relay"]\n[plugin]\n{line}\n')
    assert str(tmp_path / "mailward.toml") in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"local": {"*": "mx"}}, "local has"),
        ({"protected_domains": Masks(["x.example", "*.*"])}, "protected_domains has"),
        ({"allow": ("10.0.0.1", "*")}, "allow has"),
        ({"allow": ("any",)}, "allow has"),
        ({"allow": ("0.0.0.0/0",)}, "allow has"),
        ({"allow": ("::/0",)}, "allow has"),
        ({"rules": ("deny from 10.0.0.1 to any", "allow from any to *")}, "rules let"),
    ],
)
def test_sav_rly_01_start_warns_of_whatever_lets_everybody_in(
    make_relay: Any, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], named: str
) -> None:
    asyncio.run(make_relay(**settings).start())
    said = capsys.readouterr().out
    assert named in said
    assert "everybody may relay" in said


def test_start_says_nothing_of_tables_that_let_only_some_in(
    make_relay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ("allow from any to x.example", "allow from 10.0.0.0/8 to any", "deny from any to any")
    asyncio.run(make_relay(local={"x.example": "mx"}, allow=("10.0.0.0/8", "*.x.example"), rules=rules).start())
    assert capsys.readouterr().out == ""
