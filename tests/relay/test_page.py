"""The page about the plugin: its examples are read as configuration, its tables are tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailward import Engine, NextHop
from mailward_relay import Relay
from mailward_relay.targets import ByExchange, ByRoute, parse_target

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "relay.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SOURCES = "\n".join(path.read_text("utf-8") for path in Path(ROOT / "plugins/relay/src/mailward_relay").glob("*.py"))


def loaded(example: str, tmp_path: Path) -> Relay:
    path = tmp_path / "mailward.toml"
    head = "" if "plugins" in tomllib.loads(example) else 'plugins = ["relay"]\n'
    path.write_text(head + example)
    plugin = Engine.from_config(path).policies.default.instances[0].plugin
    assert isinstance(plugin, Relay)
    return plugin


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_an_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    assert loaded(example, tmp_path).settings


def test_there_are_examples_of_every_section() -> None:
    assert len(EXAMPLES) == 11


def test_the_example_of_a_provider_logs_in_there(tmp_path: Path) -> None:
    (example,) = [text for text in EXAMPLES if "relay.route.provider" in text]
    relay = loaded(example, tmp_path)
    assert relay._route_hops["provider"].all == (NextHop("smtp", "smtp.provider.example", 587, route="provider"),)
    manner = relay._manners.get("provider")
    assert manner is not None
    assert (manner.user, manner.password.reveal(), str(manner.tls)) == ("gateway@example.com", "sesame", "verify")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mx", ByExchange),
        ("host", NextHop),
        ("10.0.0.5:25", NextHop),
        ("[2001:db8::5]:25", NextHop),
        ("[host]", NextHop),
        ("smtp://host:26", NextHop),
        ("lmtp://host:24", NextHop),
        ("lmtp:/run/socket", NextHop),
        ("route:house", ByRoute),
        ("maildir:mail", NextHop),
    ],
)
def test_the_targets_of_the_page_are_targets(text: str, kind: type[Any]) -> None:
    assert isinstance(parse_target(text, Path), kind)


def test_every_line_of_the_log_is_on_the_page() -> None:
    said = set(re.findall(r'log\.(?:warning|error)\(\s*"([^"]+)"', SOURCES))
    assert len(said) >= 6
    assert {line for line in said if f"`{line}`" not in PAGE} == set()
