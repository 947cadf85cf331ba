"""The test virus is found in every wrapping, and each action does what it says."""

from __future__ import annotations

import email
import email.message
import email.policy
import io
import zipfile
from collections.abc import Iterator

import pytest
from attrs import frozen
from harness.client import Reply
from harness.gateway import Gateway, Line, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN, EICAR, INFECTED, VIRUS, plain
from harness.wait import until

ACTIONS = {
    "delete": "delete",
    "placeholder": {"action": "placeholder", "text": "Taken out: {{ filename }} with {{ virus }}."},
    "drop": "drop",
    "reject": {"action": "reject", "reply": "554 5.7.1 No viruses here"},
    "defer": "defer",
    "hold": "hold",
    "quarantine": "quarantine",
    "bounce": {"action": "bounce", "text": "It held a virus"},
    "forward": {"action": "forward", "to": "security@house.example", "subject": "a virus came"},
    "deliver": "deliver",
    "tag": {"action": "tag", "subject": "[VIRUS]", "headers": [["X-Virus", "yes"]]},
}
POLICIES = {
    name: {"recipients": [f"{name}@*"], "antivirus": {"on_infected": [action]}} for name, action in ACTIONS.items()
}
SENDER = "author@sender.example"


@frozen
class House:
    """A gateway with one policy for each action, and the next hop behind it."""

    gateway: Gateway
    hop: Hop

    def send(self, action: str, content: bytes = VIRUS, sender: str = SENDER) -> Reply:
        """Send to the recipient whose policy has this action."""
        return self.gateway.send(content, f"{action}@house.example", sender=sender)

    def judged(self, reply: Reply) -> Line:
        """The log line about an accepted message."""
        return self.gateway.logged("judged", id=reply.id)

    def last(self, verdict: str) -> Line:
        """The latest log line with this verdict."""
        return self.gateway.logged("judged", verdict=verdict)

    def nothing_for(self, address: str) -> bool:
        """Whether nothing arrives: a clean message that is sent afterwards is there, and no other."""
        self.gateway.settled(self.gateway.send(CLEAN, "probe@house.example").id)
        return not self.hop.to(address)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = {"policy": POLICIES, "disposition": {"unchecked": "deliver", "ambiguous": "deliver"}}
    with open_hop() as hop, running(folder, {"relay": {"default": hop.route}, **settings}) as gateway:
        yield House(gateway, hop)


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    """Each test looks only at what it has sent."""
    with house.hop.lock:
        house.hop.arrived.clear()


def names(content: bytes) -> list[str | None]:
    """The file names of all parts, as another parser sees them."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    return [part.get_filename() for part in message.walk() if part.get_filename()]


def payloads(content: bytes) -> list[bytes]:
    """The decoded content of all leaf parts and of what is in archives, as another parser sees it."""
    message: email.message.Message = email.message_from_bytes(content)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    found: list[bytes] = [part.get_payload(decode=True) for part in leaves]  # type: ignore[misc]
    for content in list(found):
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                found += [archive.read(name) for name in archive.namelist()]
    return found


@pytest.mark.parametrize("wrapping", INFECTED)
def test_the_virus_is_found_and_refused_in_every_wrapping(house: House, wrapping: str) -> None:
    reply = house.send("reject", INFECTED[wrapping])
    assert (reply.code, reply.text) == (554, "5.7.1 No viruses here")
    line = house.last("reject")
    assert (line["plugin"], line["rule"]) == ("antivirus", "signatures")
    assert "EICAR-Test-File" in line["reason"]
    assert line["policy"] == "reject"
    assert line["reply"] == 554
    assert {"receive_ms", "scan_ms", "commit_ms", "size", "client", "from", "to"} <= line.keys()
    assert line["scan_ms"] > 0
    assert house.nothing_for("reject@house.example")


@pytest.mark.parametrize("wrapping", INFECTED)
def test_delete_takes_the_virus_out_and_leaves_the_rest(house: House, wrapping: str) -> None:
    reply = house.send("delete", INFECTED[wrapping])
    line = house.judged(reply)
    assert line["verdict"] == "deliver"
    assert line["edits"] >= 1
    assert (line["plugin"], line["rule"]) == ("antivirus", "signatures")
    body = house.hop.wait_for("delete@house.example").body
    assert EICAR not in body
    assert not any(EICAR in payload for payload in payloads(body))
    assert "virus.dat" not in names(body)
    if wrapping == "zip":
        assert names(body) == ["files.zip"]
        assert any(b"'inner.dat' was taken out" in payload for payload in payloads(body))
    kept = b"Here it is.\r\n" if wrapping == "uuencode" else b"See the attachment.\r\n"
    assert kept in body
    if wrapping != "uuencode":
        head = INFECTED[wrapping].partition(b"\r\n\r\n")[0]
        assert body.startswith(head)


@pytest.mark.parametrize("wrapping", INFECTED)
def test_placeholder_puts_a_text_in_the_place_of_the_virus(house: House, wrapping: str) -> None:
    reply = house.send("placeholder", INFECTED[wrapping])
    assert house.judged(reply)["verdict"] == "deliver"
    body = house.hop.wait_for("placeholder@house.example").body
    assert EICAR not in body
    assert not any(EICAR in payload for payload in payloads(body))
    name = {"zip": "inner.dat", "uuencode": "old.dat"}.get(wrapping, "virus.dat")
    assert any(f"Taken out: {name} with EICAR-Test-File.".encode() in payload for payload in payloads(body))


def test_a_message_that_is_itself_the_virus_is_dropped_where_its_part_is_to_be_deleted(house: House) -> None:
    reply = house.send("delete", plain(EICAR + b"\r\n"))
    assert house.judged(reply)["verdict"] == "drop"
    assert house.nothing_for("delete@house.example")


def test_drop_accepts_and_delivers_nothing(house: House) -> None:
    reply = house.send("drop")
    assert house.judged(reply)["verdict"] == "drop"
    assert house.nothing_for("drop@house.example")
    assert house.nothing_for(SENDER)
    assert not [file for file in house.gateway.stored() if reply.id in file.name]


def test_defer_answers_451_and_keeps_nothing(house: House) -> None:
    reply = house.send("defer")
    assert reply.code == 451
    assert house.last("defer")["reply"] == 451
    assert house.nothing_for("defer@house.example")
    until(lambda: not house.gateway.stored("fast", "slow", "tmp"), "nothing to be kept")


@pytest.mark.parametrize("queue", ["hold", "quarantine"])
def test_hold_and_quarantine_keep_the_message_and_deliver_nothing(house: House, queue: str) -> None:
    reply = house.send(queue)
    assert house.judged(reply)["verdict"] == queue
    line = house.gateway.logged("queued", id=reply.id)
    assert line["queue"] == queue
    assert "EICAR-Test-File" in line["reason"]
    assert reply.id in [file.name for file in house.gateway.stored(queue)]
    assert house.nothing_for(f"{queue}@house.example")
    listed = {entry["id"]: entry for entry in house.gateway.queue()}
    assert listed[reply.id]["queue"] == queue


def test_bounce_accepts_and_tells_the_sender(house: House) -> None:
    reply = house.send("bounce")
    assert house.judged(reply)["verdict"] == "bounce"
    notice = house.hop.wait_for(SENDER)
    assert notice.sender.startswith("FROM:<>")
    assert b"bounce@house.example" in notice.content
    assert b"It held a virus" in notice.content
    assert b"Content-Type: multipart/report" in notice.content
    assert EICAR not in notice.content
    assert not any(EICAR in payload for payload in payloads(notice.content))
    assert not house.hop.to("bounce@house.example")
    line = house.gateway.logged("bounced", id=reply.id)
    assert line["to"] == SENDER


def test_bounce_of_a_message_without_sender_is_suppressed(house: House) -> None:
    reply = house.send("bounce", sender="")
    line = house.gateway.logged("bounced", id=reply.id)
    assert line["notification"] == "suppressed"
    assert house.nothing_for(SENDER)
    assert house.nothing_for("")


def test_forward_sends_to_the_other_address_alone(house: House) -> None:
    reply = house.send("forward")
    assert house.judged(reply)["verdict"] == "forward"
    arrived = house.hop.wait_for("security@house.example")
    assert arrived.recipients[0].startswith("TO:<security@house.example>")
    assert len(arrived.recipients) == 1
    assert b"\r\nSubject: a virus came\r\n" in b"\r\n" + arrived.body
    assert b"Subject: a test" not in arrived.body
    assert any(EICAR in payload for payload in payloads(arrived.body))
    assert house.nothing_for("forward@house.example")


def test_deliver_leaves_the_message_as_it_is_and_records_the_virus(house: House) -> None:
    reply = house.send("deliver")
    line = house.judged(reply)
    assert line["verdict"] == "deliver"
    assert any("antivirus.signatures(EICAR-Test-File)" in finding for finding in line["findings"])
    assert house.hop.wait_for("deliver@house.example").body == VIRUS


def test_tag_marks_the_subject_and_adds_a_header(house: House) -> None:
    house.send("tag")
    body = house.hop.wait_for("tag@house.example").body
    message = email.message_from_bytes(body)
    assert message["Subject"] == "[VIRUS] a test"
    assert message["X-Virus"] == "yes"
    assert body.endswith(VIRUS.partition(b"\r\n\r\n")[2])


def test_a_clean_message_is_delivered_by_every_policy(house: House) -> None:
    for action in ACTIONS:
        line = house.judged(house.send(action, CLEAN))
        assert line["verdict"] == "deliver"
        assert house.hop.wait_for(f"{action}@house.example").body == CLEAN
