"""Smuggling through the gateway to Postfix: what looks like an end to somebody is an end to nobody behind us."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attrs import frozen
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.mails import CLEAN
from harness.servers import open_postfix

SECOND = (
    b"MAIL FROM:<evil@sender.example>\r\nRCPT TO:<victim@house.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nEvil\r\n"
)
ENDS: dict[str, bytes] = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "CRLF . CR": b"\r\n.\r",
    "CR . CR": b"\r.\r",
    "LF . CR": b"\n.\r",
    "CR . LF": b"\r.\n",
    "CRLF . CR CRLF": b"\r\n.\r\r\n",
    "LF LF . CRLF": b"\n\n.\r\n",
    "LF . CR CRLF": b"\n.\r\r\n",
    "LF .. CRLF": b"\n..\r\n",
    "CRLF .. CRLF": b"\r\n..\r\n",
    "CRLF . SP CRLF": b"\r\n. \r\n",
}
LAWFUL = ("CRLF .. CRLF", "CRLF . SP CRLF")


@frozen
class House:
    """A gateway before Postfix, and what is behind that."""

    gateway: Gateway
    behind: Hop


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, require: Callable[..., None]) -> Iterator[House]:
    require("postfix")
    mending = {"listen": ["127.0.0.1:0"], "bare_line_ends": "normalise"}
    with (
        open_hop() as behind,
        open_postfix(behind.port) as postfix,
        running(
            tmp_path_factory.mktemp("onward"),
            {"relay": {"default": postfix.route}, "listener": {"mending": mending}},
        ) as gateway,
    ):
        yield House(gateway, behind)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("mends", [False, True], ids=["refusing", "mending"])
def test_one_message_stays_one_message(house: House, name: str, mends: bool) -> None:
    to = f"{'mended' if mends else 'refused'}{list(ENDS).index(name)}@house.example"
    with Client(house.gateway.ports[int(mends)]) as client:
        client.greet()
        assert client.envelope(to).code == 250
        assert client.say("DATA").code == 354
        client.write(b"Subject: first\r\n\r\nGood" + ENDS[name] + SECOND + b"\r\n.\r\n")
        accepted = client.read().code == 250
        assert accepted is (mends or name in LAWFUL)
        after = f"after.{to}"
        assert client.send(CLEAN, after).code == 250
    house.behind.wait_for(after)
    if accepted:
        content = house.behind.wait_for(to).content
        assert b"Evil" in content
        assert len(house.behind.to(to)) == 1
    assert not house.behind.to("victim@house.example")


@pytest.mark.parametrize("name", ENDS)
def test_one_message_in_chunks_stays_one_message(house: House, name: str) -> None:
    """BDAT has no dots and no end; what is in it is stuffed for the next hop like all else."""
    to = f"chunked{list(ENDS).index(name)}@house.example"
    content = b"Subject: first\r\n\r\nGood" + ENDS[name] + b"\r\n.\r\n" + SECOND
    with Client(house.gateway.ports[1]) as client:
        client.greet()
        assert client.envelope(to).code == 250
        client.write(f"BDAT {len(content)} LAST\r\n".encode() + content)
        assert client.read().code == 250
    assert b"Evil" in house.behind.wait_for(to).content
    assert len(house.behind.to(to)) == 1
    assert not house.behind.to("victim@house.example")
