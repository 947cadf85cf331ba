"""Content rules on mail that really flows: each fate, sizes while SMTP can refuse, texts per recipient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness.client import Reply
from harness.gateway import Gateway, running
from harness.hop import Arrived, Hop, open_hop
from harness.mails import EICAR, TEXT, attachment, parts, plain, zipped

MIB = 1024 * 1024
LAB = {"action": "forward", "to": "lab@lab.example", "subject": "found by a rule"}
NOTE = {"action": "placeholder", "text": "{$FILE} is not for you"}
MARK = {"action": "tag", "subject": "[content]", "headers": [["X-Content", "seen"]]}
ACTIONS: dict[str, Any] = {
    name: name for name in ("deliver", "delete", "quarantine", "hold", "bounce", "drop", "reject", "defer")
} | {"placeholder": NOTE, "tag": MARK, "forward": LAB}

RULES = {
    "block_names": True,
    "block_size": True,
    "max_size_mb": 3,
    "block_subjects": True,
    "subjects": ["*lottery*", "win*"],
    "rules": {"words": {"when": "ALL secret, plan NONE public", "action": "drop"}},
    "outbound": {"disclaimer": "Confidential."},
}
POLICIES = {
    **{
        f"names-{word}": {"recipients": [f"{word}@house.example"], "content": {"on_name": action}}
        for word, action in ACTIONS.items()
    },
    "small": {"recipients": ["small@*"], "content": {"max_size_mb": 1}},
    "music": {"recipients": ["music@*"], "content": {"filter_names": ["*.mp3"]}},
    "locked": {"recipients": ["vault@house.example"], "content": {"on_encrypted": LAB}},
    "limited": {"recipients": ["limited@house.example"], "content": {"limits": {"max_files": 5}}},
    "odd": {"recipients": ["odd@house.example"], "content": {"on_unprocessable": "bounce"}},
    "subjects-deliver": {"recipients": ["log@house.example"], "content": {"on_subject": "deliver"}},
    "subjects-forward": {"recipients": ["passed@house.example"], "content": {"on_subject": LAB}},
}
BAD = parts(TEXT, attachment(b"a program", "setup.exe"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Hop]]:
    with open_hop() as hop:
        settings = {
            "relay": {"default": hop.route, "local": {"house.example": hop.route}},
            "content": RULES,
            "policy": POLICIES,
        }
        with running(tmp_path_factory.mktemp("content"), settings) as gateway:
            yield gateway, hop


def sent(gateway: Gateway, content: bytes, word: str, sender: str = "") -> Reply:
    return gateway.send(content, f"{word}@house.example", sender=sender or f"{word}@sender.example")


def delivered(hop: Hop, word: str) -> bytes:
    arrived: Arrived = hop.wait_for(f"{word}@house.example")
    return arrived.body


def test_sms_cont_03_the_attachment_goes_and_the_message_is_delivered(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    assert sent(gateway, BAD, "delete").code == 250
    body = delivered(hop, "delete")
    assert b"See the attachment." in body
    assert b"setup.exe" not in body


def test_sav_blk_03_the_replacement_text_names_the_file(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    assert sent(gateway, BAD, "placeholder").code == 250
    body = delivered(hop, "placeholder")
    assert b"setup.exe (*.exe) is not for you" in body
    assert b"a program" not in body


def test_sms_flow_10_log_only_is_an_event_and_delivers_unchanged(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = sent(gateway, BAD, "deliver")
    assert delivered(hop, "deliver") == BAD
    line = gateway.logged("judged", id=reply.id)
    assert line["findings"] == ["content.file_name(*.exe) in 2"]
    assert line["details"] == ["content.file_name: 'setup.exe' matches *.exe"]
    assert (line["from"], line["to"]) == ("deliver@sender.example", ["deliver@house.example"])


def test_a_tag_marks_the_message(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    sent(gateway, BAD, "tag")
    body = delivered(hop, "tag")
    assert b"Subject: [content] a test\r\n" in body
    assert b"X-Content: seen\r\n" in body
    assert b"setup.exe" in body


def test_sms_flow_10_forward_goes_to_one_address_and_not_to_the_recipient(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    assert sent(gateway, BAD, "forward").code == 250
    arrived = hop.wait_for("lab@lab.example")
    assert b"Subject: found by a rule\r\n" in arrived.body
    assert b"setup.exe" in arrived.body
    assert not hop.to("forward@house.example")


@pytest.mark.parametrize("queue", ["quarantine", "hold"])
def test_a_message_is_kept(house: tuple[Gateway, Hop], queue: str) -> None:
    gateway, hop = house
    reply = sent(gateway, BAD, queue)
    assert reply.code == 250
    assert gateway.logged("queued", id=reply.id)["queue"] == queue
    assert not hop.to(f"{queue}@house.example")


def test_sms_flow_10_drop_is_accepted_and_delivered_to_nobody(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = sent(gateway, BAD, "drop")
    assert reply.code == 250
    assert gateway.logged("judged", id=reply.id)["verdict"] == "drop"
    gateway.settled(sent(gateway, plain(), "probe").id)
    assert not hop.to("drop@house.example")
    assert not hop.to("drop@sender.example")


def test_sms_flow_10_bounce_goes_back_to_the_sender(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    assert sent(gateway, BAD, "bounce").code == 250
    notice = hop.wait_for("bounce@sender.example")
    assert notice.sender.startswith("FROM:<>")
    assert not hop.to("bounce@house.example")


@pytest.mark.parametrize(("word", "code"), [("reject", 550), ("defer", 451)])
def test_a_message_is_refused_while_smtp_can(house: tuple[Gateway, Hop], word: str, code: int) -> None:
    gateway, hop = house
    assert sent(gateway, BAD, word).code == code
    assert not hop.to(f"{word}@house.example")


def test_sav_blk_01_an_announced_size_is_refused_for_whom_it_is_too_large(house: tuple[Gateway, Hop]) -> None:
    gateway, _ = house
    with gateway.client() as client:
        assert client.say(f"MAIL FROM:<a@sender.example> SIZE={2 * MIB}").code == 250
        refusal = client.say("RCPT TO:<small@house.example>")
        assert (refusal.code, refusal.text[:5]) == (552, "5.3.4")
        assert client.say("RCPT TO:<reader@house.example>").code == 250
    line = gateway.logged("refused", stage="rcpt_to")
    assert line["plugin"] == "content"


def test_sav_blk_01_what_is_larger_than_announced_is_refused_when_it_is_there(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    large = plain(b"x" * 70 + b"\r\n") + b"y" * 70 * 1000 + b"\r\n"
    large += (b"z" * 70 + b"\r\n") * (2 * MIB // 72)
    assert sent(gateway, large, "small").code == 552
    assert sent(gateway, large, "large").code == 250
    assert delivered(hop, "large") == large


def test_sms_cont_02_on_drop_every_matched_pattern_is_in_the_log(house: tuple[Gateway, Hop]) -> None:
    gateway, _ = house
    reply = sent(gateway, plain(subject="Re: Win the LOTTERY"), "reader")
    line = gateway.logged("judged", id=reply.id)
    assert line["verdict"] == "drop"
    assert line["findings"] == ["content.subject(*lottery*)"]
    assert line["details"] == ["content.subject: 'Re: Win the LOTTERY' matches *lottery*, win*"]


def test_sav_blk_02_the_three_actions_on_subjects(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    unlucky = plain(subject="winner")
    assert sent(gateway, unlucky, "log").code == 250
    assert delivered(hop, "log") == unlucky
    before = len(hop.to("lab@lab.example"))
    assert sent(gateway, unlucky, "passed").code == 250
    arrived = hop.wait_for("lab@lab.example", before + 1)
    assert b"Subject: found by a rule\r\n" in arrived.body
    assert not hop.to("passed@house.example")


def test_sms_cont_06_a_violated_rule_is_told_with_its_terms(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    reply = sent(gateway, plain(b"The SECRET five-year plan.\r\n"), "reader")
    line = gateway.logged("judged", id=reply.id)
    assert line["verdict"] == "drop"
    assert line["findings"] == ["content.rule(words) in 1"]
    assert line["details"] == ["content.rule: 'secret' in body 1, 'plan' in body 1"]
    open_plan = plain(b"The secret plan is public.\r\n")
    sent(gateway, open_plan, "public")
    assert delivered(hop, "public") == open_plan


def test_sms_set_05_the_disclaimer_is_for_recipients_outside_alone(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    mail = plain(b"Regards.\r\n")
    reply = gateway.send(mail, "colleague@house.example", "customer@other.example")
    assert reply.code == 250
    assert hop.wait_for("colleague@house.example").body == mail
    outside = hop.wait_for("customer@other.example").body
    assert b"Regards.\r\n" in outside
    assert b"Confidential." in outside


def test_kav_scn_06_what_is_filtered_is_delivered_without_a_scan(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    song = parts(TEXT, attachment(EICAR, "song.mp3"))
    assert sent(gateway, song, "music").code == 250
    assert delivered(hop, "music") == song
    assert sent(gateway, song, "silence").code == 250
    assert b"song.mp3" not in delivered(hop, "silence")


def locked() -> bytes:
    """An archive that says that its member is encrypted."""
    made = bytearray(zipped(b"secret", "plan.txt"))
    made[6] |= 1
    made[made.index(b"PK\1\2") + 8] |= 1
    return bytes(made)


def test_sms_cont_05_the_encrypted_container_goes_and_the_message_is_delivered(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    mail = parts(TEXT, attachment(locked(), "locked.zip"))
    reply = sent(gateway, mail, "open")
    body = delivered(hop, "open")
    assert b"See the attachment." in body
    assert b"locked.zip" not in body
    line = gateway.logged("judged", id=reply.id)
    assert (line["verdict"], line["plugin"], line["rule"]) == ("deliver", "content", "encrypted")
    before = len(hop.to("lab@lab.example"))
    sent(gateway, mail, "vault")
    assert b"locked.zip" in hop.wait_for("lab@lab.example", before + 1).body
    assert not hop.to("vault@house.example")


def test_sav_blk_05_a_message_over_a_container_limit_is_dropped(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    mail = parts(TEXT, *(attachment(b"x", f"{number}.dat") for number in range(3)))
    reply = sent(gateway, mail, "limited")
    assert reply.code == 250
    assert gateway.logged("judged", id=reply.id)["verdict"] == "drop"
    sent(gateway, mail, "free")
    assert delivered(hop, "free") == mail
    assert not hop.to("limited@house.example")


def test_sav_av_08_what_cannot_be_processed_is_held_or_bounced(house: tuple[Gateway, Hop]) -> None:
    gateway, hop = house
    mail = parts(TEXT, attachment(b"Rar!\x1a\x07\x01\0", "a.rar"))
    assert gateway.logged("queued", id=sent(gateway, mail, "careful").id)["queue"] == "hold"
    assert sent(gateway, mail, "odd").code == 250
    assert hop.wait_for("odd@sender.example").sender.startswith("FROM:<>")


@pytest.mark.parametrize(
    "damaged",
    [
        plain(b"a NUL \0 in the body\r\n"),
        plain(subject="a NUL \0 in the header"),
        plain().replace(b"Subject: a test\r\n", b"Subject: a test\n"),
        plain().replace(b"Subject: a test\r\n", b"Subject: a test\r"),
    ],
    ids=["NUL in body", "NUL in header", "bare LF", "bare CR"],
)
def test_sav_blk_07_nul_and_bare_line_ends_are_refused(house: tuple[Gateway, Hop], damaged: bytes) -> None:
    gateway, _ = house
    assert sent(gateway, damaged, "damaged").code == 554
    assert gateway.logged("refused", stage="data")["plugin"] == "core"


def test_sav_blk_01_without_policies_mail_itself_is_refused(
    house: tuple[Gateway, Hop], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, hop = house
    settings = {"relay": {"default": hop.route}, "content": {"block_size": True, "max_size_mb": 1}}
    with running(tmp_path_factory.mktemp("content"), settings) as gateway:
        with gateway.client() as client:
            refusal = client.say(f"MAIL FROM:<a@sender.example> SIZE={MIB + 1}")
            assert (refusal.code, refusal.text[:5]) == (552, "5.3.4")
            assert client.say(f"MAIL FROM:<a@sender.example> SIZE={MIB}").code == 250
        reply = gateway.send(plain((b"z" * 70 + b"\r\n") * (MIB // 70)), "reader@house.example")
        assert reply.code == 552
        assert gateway.logged("refused", stage="data", plugin="content")["rule"] == "data"
