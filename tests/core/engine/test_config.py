"""The configuration file: what is wrong is told with file, key, value, what is allowed, and the nearest key."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from mailward import ConfigError
from mailward.engine.config import Config, load_config, parse_config
from mailward.mime import Limits
from mailward.values.errors import Problem


def parsed(text: str) -> Config:
    return parse_config(text, "mailward.toml", Path("/etc/mailward"))


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert caught.value.source == "mailward.toml"
    return caught.value.problems


def only(text: str) -> Problem:
    (problem,) = problems(text)
    return problem


def test_an_unknown_key_is_told_with_its_value_the_allowed_ones_and_the_nearest() -> None:
    problem = only("[gateway]\nhostnam = 'mx'")
    assert problem.key == "gateway.hostnam"
    assert problem.value == "'mx'"
    assert "hostname" in problem.allowed
    assert problem.nearest == "hostname"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[gateway]\nlisten = '127.0.0.1:25'", "gateway.listen"),
        ("[gateway]\nmax_recipients = '10'", "gateway.max_recipients"),
        ("[gateway]\nmax_recipients = 10.0", "gateway.max_recipients"),
        ("[gateway]\nmax_recipients = true", "gateway.max_recipients"),
        ("[gateway]\ntrace = 'false'", "gateway.trace"),
        ("[gateway]\ntrace = 1", "gateway.trace"),
        ("[gateway]\nhostname = 5", "gateway.hostname"),
        ("[gateway]\nmax_message_bytes = 'big'", "gateway.max_message_bytes"),
        ("[gateway]\ncommand_timeout_s = '5 weeks'", "gateway.command_timeout_s"),
        ("[gateway]\ncommand_timeout_s = inf", "gateway.command_timeout_s"),
        ("[gateway]\ncommand_timeout_s = nan", "gateway.command_timeout_s"),
        ("[log]\nformat = 'xml'", "log.format"),
        ("[spool]\npath = 5", "spool.path"),
        ("[disposition]\nlimit = 'explode'", "disposition.limit"),
        ("[dns]\nservers = [53]", "dns.servers"),
        ("gateway = 5", "gateway"),
        ("plugins = 'relay'", "plugins"),
        ("plugins = [1]", "plugins"),
        ("policy = 5", "policy"),
        ("hostname = 'mx'", "hostname"),
    ],
)
def test_a_wrong_type_is_told_with_its_key(text: str, key: str) -> None:
    assert only(text).key == key


@pytest.mark.parametrize(
    "text",
    [
        "[gateway]\nmax_recipients = 0",
        "[gateway]\nmax_recipients = 10001",
        "[gateway]\nmax_message_bytes = '1 KB'",
        "[gateway]\nmax_message_bytes = -1",
        "[scan]\nworkers = 0",
        "[delivery]\nlifetime_s = '15 d'",
        "[limits]\nmax_depth = 0",
    ],
)
def test_what_is_out_of_range_is_an_error_and_not_clamped(text: str) -> None:
    (problem,) = problems(text)
    assert problem.key == text.partition(" =")[0].replace("[", "").replace("]\n", ".")


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('[gateway]\nhostname = "mx.example\\r\\n250 ok"', "gateway.hostname", "is no host name"),
        ('[gateway]\nhostname = "mx example"', "gateway.hostname", "is no host name"),
        ('[gateway]\nhostname = ""', "gateway.hostname", "is no host name"),
        ('[gateway]\npostmaster = "bob"', "gateway.postmaster", "write local@domain"),
        ('[dns]\nservers = ["ns.example"]', "dns.servers", "is no name server; allowed: 192.0.2.53"),
        ('[dns]\nservers = ["192.0.2.53:0"]', "dns.servers", "is no name server"),
        ('[dns]\nservers = ["[::1"]', "dns.servers", "is no name server"),
        ('[disposition]\nunchecked = "tag"', "disposition.unchecked", "a tag marks with a subject, with headers"),
    ],
)
def test_what_would_only_fail_with_mail_under_way_is_told_at_load(text: str, key: str, message: str) -> None:
    problem = only(text)
    assert problem.key == key
    assert message in problem.message


@pytest.mark.parametrize("hostname", ["mx", "mx-1.example.com", "[192.0.2.1]", "a_b.example"])
def test_names_of_hosts_are_taken(hostname: str) -> None:
    config = parse_config(f'[gateway]\nhostname = "{hostname}"', "mailward.toml", Path())
    assert config.core.gateway.hostname == hostname


@pytest.mark.parametrize("server", ["192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53", "[2001:db8::53]", "::1"])
def test_addresses_of_name_servers_are_taken(server: str) -> None:
    assert parse_config(f'[dns]\nservers = ["{server}"]', "mailward.toml", Path()).core.dns.servers == (server,)


def test_a_mark_of_the_encoding_at_the_start_of_the_file_does_no_harm() -> None:
    assert parse_config("\ufeffplugins = []", "mailward.toml", Path()).plugins == ()


def test_every_problem_is_told_in_one_go() -> None:
    found = problems("[gateway]\nlisten = 5\ntrace = 5\n[scan]\nworker = 1\n[policy.p]\n")
    assert [problem.key for problem in found] == ["gateway.listen", "gateway.trace", "scan.worker", "policy.p"]


def test_settings_that_contradict_each_other_are_told() -> None:
    assert only("[delivery]\nretry_first_s = 600\nretry_max_s = 300").key == "delivery.retry_max_s"


def test_a_plugin_that_is_named_twice_is_told() -> None:
    problem = only("plugins = ['relay', 'content', 'relay']")
    assert (problem.key, problem.value, problem.message) == ("plugins", "relay", "is named twice")


def test_a_policy_without_masks_is_told() -> None:
    assert "at least one" in only("[policy.finance]\nantivirus.eicar = false").message


def test_a_policy_mask_of_the_wrong_type_is_told() -> None:
    assert only("[policy.finance]\nrecipients = 5").key == "policy.finance.recipients"


def test_a_policy_key_that_is_no_plugins_table_is_told() -> None:
    assert only("[policy.finance]\nrecipients = '*'\neicar = true").key == "policy.finance.eicar"


def test_what_is_no_toml_is_told_with_the_place() -> None:
    assert "line 2" in only("[gateway]\nlisten\n").message


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "latin.toml")


def test_errors_are_sentences_with_file_and_key() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed("[gateway]\nhostnam = 'mx'")
    first = str(caught.value).splitlines()[0]
    assert first.startswith("mailward.toml: gateway.hostnam = 'mx': is not a setting; allowed: ")
    assert first.endswith("did you mean 'hostname'?")


def test_without_a_file_there_are_defaults() -> None:
    config = load_config(None)
    assert config.plugins == ("relay", "archives", "content", "antivirus")
    assert config.core.gateway.listen == ("127.0.0.1:2525",)
    assert config.policies == ()


def test_relative_paths_start_at_the_folder_of_the_file() -> None:
    assert parsed("[spool]\npath = 'state'").state == Path("/etc/mailward/state")
    assert parsed("[spool]\npath = '/var/mailward'").state == Path("/var/mailward")


def test_a_policy_overrides_the_section_key_by_key() -> None:
    config = parsed(
        "[antivirus]\neicar = true\nclamd = 'x:1'\n[policy.p]\nrecipients = '*@a.example'\nantivirus.eicar = false\n"
        "disposition.limit = 'reject'"
    )
    (policy,) = config.policies
    assert config.section("antivirus", policy) == {"eicar": False, "clamd": "x:1"}
    assert config.section("antivirus") == {"eicar": True, "clamd": "x:1"}
    assert str(config.disposition(policy).limit) == "reject"
    assert str(config.disposition(None).limit) == "drop"


def test_a_wrong_override_of_the_disposition_is_told() -> None:
    config = parsed("[policy.p]\nrecipients = '*'\ndisposition.limit = 'no'")
    with pytest.raises(ConfigError, match=r"policy\.p\.disposition\.limit"):
        config.disposition(config.policies[0])


@pytest.mark.parametrize("name", [one.name for one in attrs.fields(Limits)])
@pytest.mark.parametrize("value", ["1000000000000000", "-1", "0"])
def test_sav_blk_05_a_limit_out_of_its_range_is_an_error_with_its_key(name: str, value: str) -> None:
    if (name, value) == ("ratio_floor_bytes", "0"):  # no limit, but the size from which one counts
        assert parsed("[limits]\nratio_floor_bytes = 0").core.limits.ratio_floor_bytes == 0
        return
    assert only(f"[limits]\n{name} = {value}").key == f"limits.{name}"
