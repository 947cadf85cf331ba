"""``[listener.NAME]``: settings of the gateway, overridden key by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailward import ConfigError
from mailward.engine.config import Config, parse_config


def read(text: str) -> Config:
    return parse_config(text, "mailward.toml", Path())


def test_without_listeners_the_gateway_is_the_only_one() -> None:
    (only,) = read("").listeners
    assert (only.name, only.settings.listen) == ("", ("127.0.0.1:2525",))


def test_a_listener_has_the_settings_of_the_gateway_but_its_own() -> None:
    config = read('[gateway]\nmax_recipients = 7\nmax_errors = 3\n[listener.in]\nlisten = [":25"]\nmax_errors = 5\n')
    (one,) = config.listeners
    assert (one.name, one.settings.listen) == ("in", (":25",))
    assert (one.settings.max_recipients, one.settings.max_errors) == (7, 5)
    assert config.core.gateway.max_errors == 3


def test_the_gateway_listens_beside_them_where_it_says_so() -> None:
    config = read('[gateway]\nlisten = [":26"]\n[listener.in]\nlisten = [":25"]\n')
    assert [(one.name, one.settings.listen) for one in config.listeners] == [("", (":26",)), ("in", (":25",))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[listener.in]\n", "listener.in.listen: is missing"),
        ("[listener.in]\nlisten = []\n", "listener.in.listen: is empty"),
        ("[gateway]\nlisten = []\n", "gateway.listen: is empty"),
        ("listener = 5\n", "listener: is not a table"),
        ("[listener]\nin = 5\n", "listener.in: is not a table"),
        (
            '[listener.in]\nlisten = [":25"]\nhostname = "x"\n',
            "in.hostname: is a setting of the whole gateway",
        ),
        ('[listener.in]\nlisten = [":25"]\nlisen = 1\n', "listener.in.lisen = 1: is not a setting"),
        ('[listener.in]\nlisten = [":25"]\nmax_errors = 0\n', "listener.in.max_errors = 0: out of range"),
        ('[gateway]\ntls = "starttls"\n', "gateway.tls_certificate: is missing"),
        ('[gateway]\nauth = "optional"\n', "gateway.auth = optional: passwords would travel in the clear"),
        (
            '[gateway]\ntls = "implicit"\ntls_certificate = "x"\ntls_client_certificates = "require"\n',
            "gateway.tls_client_ca: is missing",
        ),
        (
            "[gateway]\ngreeting_delay_s = 2\npipe_connect = true\n",
            "gateway.greeting_delay_s = 2 s: shows nobody up where clients may speak before the greeting",
        ),
        (
            '[gateway]\ngreeting_delay_s = 2\n[listener.in]\nlisten = [":25"]\npipe_connect = true\n',
            "listener.in.greeting_delay_s",
        ),
        ('[gateway]\nproxy_from = ["10.0.0.0/33"]\n', "gateway.proxy_from"),
        ('[gateway]\nxclient_from = ["10.0.0.1/8"]\n', "has host bits set"),
        ("[gateway]\nread_timeout_s = 1201\n", "gateway.read_timeout_s = 1201: out of range; allowed: 1 to 1200"),
        ("[gateway]\ndata_start_timeout_s = 2401\n", "allowed: 1 to 2400"),
        ("[gateway]\ndata_end_timeout_s = 7201\n", "allowed: 1 to 7200"),
        ("[gateway]\ncommand_timeout_s = 0\n", "allowed: 1 to 1200"),
        ("[gateway]\nmax_hops = 101\n", "allowed: 1 to 100"),
        ('[gateway]\nmax_message_bytes = "63 KB"\n', "gateway.max_message_bytes"),
        ('[gateway]\nmax_session_bytes = "63 KB"\n', "gateway.max_session_bytes"),
        ("[gateway]\nmax_messages = 1025\n", "allowed: 1 to 1024"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert problem in str(caught.value)


def test_the_old_names_of_settings_are_understood() -> None:
    gateway = read("[gateway]\nDenyUnresolvedConnect = true\nDenyUnresolvedMailfrom = true\n").core.gateway
    assert (gateway.deny_unresolved_clients, gateway.deny_unresolved_senders) == (True, True)
