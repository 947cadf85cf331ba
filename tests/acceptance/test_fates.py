"""Recipients of one message fare differently: one reply, several fates."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, EICAR, VIRUS
from harness.wait import until

SENDER = "author@sender.example"
POLICIES = {
    name: {"recipients": [f"{name}*@*"], "antivirus": {"on_infected": [action]}}
    for name, action in {
        "takes": "deliver",
        "cleans": "delete",
        "refuses": {"action": "reject", "reply": "550 5.7.1 Not for me"},
        "waits": "defer",
        "drops": "drop",
        "keeps": "hold",
    }.items()
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Hop]]:
    with open_hop() as hop:
        settings = {"relay": {"default": hop.route}, "policy": POLICIES}
        with running(tmp_path_factory.mktemp("fates"), settings) as gateway:
            yield gateway, hop


def at(*names: str) -> list[str]:
    return [f"{name}@house.example" for name in names]


def test_one_is_delivered_and_one_refused(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = gateway.send(VIRUS, *at("takes1", "refuses1"), sender="one@sender.example")
    assert reply.code == 250
    arrived = hop.wait_for("takes1@house.example")
    assert arrived.body == VIRUS
    assert len(arrived.recipients) == 1
    notice = hop.wait_for("one@sender.example")
    assert notice.sender.startswith("FROM:<>")
    assert b"refuses1@house.example" in notice.content
    assert b"takes1@house.example" not in notice.content
    assert b"Not for me" in notice.content
    assert EICAR not in notice.content
    assert not hop.to("refuses1@house.example")
    line = gateway.logged("judged", id=reply.id)
    assert line["verdict"] == "deliver,reject"
    assert line["nrcpt"] == 2


def test_each_gets_the_copy_that_his_policy_makes(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = gateway.send(VIRUS, *at("takes2", "cleans2", "drops2", "keeps2"))
    assert reply.code == 250
    assert hop.wait_for("takes2@house.example").body == VIRUS
    cleaned = hop.wait_for("cleans2@house.example").body
    assert cleaned != VIRUS
    assert b"See the attachment." in cleaned
    assert b"virus.dat" not in cleaned
    assert gateway.logged("queued", queue="hold")["to"] == at("keeps2")
    assert not hop.to("drops2@house.example")


def test_kav_grp_05_the_lines_of_every_copy_and_notice_name_the_message_that_it_came_as(
    house: tuple[Gateway, Hop],
) -> None:
    gateway, hop = house
    reply = gateway.send(VIRUS, *at("takes12", "cleans12", "keeps12", "refuses12"), sender="twelve@sender.example")
    for name in ("takes12", "cleans12"):
        hop.wait_for(f"{name}@house.example")
    hop.wait_for("twelve@sender.example")

    def ids(event: str) -> set[str]:
        lines = [line for line in gateway.log(event) if reply.id in (line.get("id"), line.get("origin"))]
        return {line["id"] for line in lines}

    until(lambda: len(ids("delivered")) == 3, "two copies and a notice to be delivered", story=gateway.story)
    assert len(ids("delivered") | ids("queued")) == 4, "each has an id of its own"
    assert ids("bounced") == {reply.id}
    assert [line for line in gateway.log("delivered", id=reply.id) if "origin" in line] == []


def test_nobody_learns_of_the_others_from_the_copies(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    gateway.send(VIRUS, *at("takes3", "cleans3", "keeps3"))
    for name in ("takes3", "cleans3"):
        content = hop.wait_for(f"{name}@house.example").content
        assert not any(other.encode() in content for other in at("takes3", "cleans3", "keeps3"))


def test_recipients_of_one_policy_share_a_transaction(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    gateway.send(CLEAN, *at("takes4", "takes5", "cleans4"))
    arrived = hop.wait_for("takes4@house.example")
    assert len(arrived.recipients) == 3  # what came out alike travels together


def test_where_all_refuse_the_client_is_refused(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    bounced = len(gateway.log("bounced"))
    reply = gateway.send(VIRUS, *at("refuses6", "refuses7"), sender="six@sender.example")
    assert (reply.code, reply.text) == (550, "5.7.1 Not for me")
    gateway.settled(gateway.send(CLEAN, *at("probe")).id)
    assert not hop.to("six@sender.example")
    assert len(gateway.log("bounced")) == bounced


def test_where_one_is_deferred_nothing_is_kept_for_anybody(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    kept = len(gateway.stored())
    reply = gateway.send(VIRUS, *at("takes8", "refuses8", "keeps8", "waits8"), sender="eight@sender.example")
    assert reply.code == 451
    gateway.settled(gateway.send(CLEAN, *at("probe")).id)
    assert not hop.to("takes8@house.example")
    assert not hop.to("eight@sender.example")
    assert len(gateway.stored("hold", "quarantine", "slow", "tmp")) <= kept


def test_a_message_without_sender_bounces_to_nobody(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = gateway.send(VIRUS, *at("takes9", "refuses9"), sender="")
    assert reply.code == 250
    assert hop.wait_for("takes9@house.example").sender.startswith("FROM:<>")
    assert gateway.logged("bounced", id=reply.id)["notification"] == "suppressed"
    assert not hop.to("")


def test_the_log_names_everything_that_was_decided(house: tuple[Gateway, Hop]) -> None:
    gateway, _ = house
    reply = gateway.send(VIRUS, *at("takes10", "refuses10"))
    line = gateway.logged("judged", id=reply.id)
    assert line["plugin"] == "antivirus"
    assert line["rule"] == "signatures"
    assert line["from"] == SENDER
    assert line["to"] == at("takes10", "refuses10")
    assert line["client"] == "127.0.0.1"
    assert line["size"] == len(VIRUS)
    assert json.dumps(line["findings"]).count("EICAR-Test-File") == 2


def test_refused_copies_are_dropped_where_the_configuration_says_so(
    house: tuple[Gateway, Hop], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, hop = house
    settings = {"relay": {"default": hop.route}, "policy": POLICIES, "gateway": {"refused_copies": "drop"}}
    with running(tmp_path_factory.mktemp("fates"), settings) as gateway:
        reply = gateway.send(VIRUS, *at("takes11", "refuses11"), sender="eleven@sender.example")
        assert reply.code == 250
        gateway.settled(reply.id)
        assert gateway.stop() == 0
        assert not gateway.log("bounced")
    assert not hop.to("eleven@sender.example")
    assert hop.to("takes11@house.example")
