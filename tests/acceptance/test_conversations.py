"""Any sequence of commands, against a model of RFC 5321: what each is answered, and what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any, ClassVar

import pytest
from harness.client import Client
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

MAX_RECIPIENTS = 3
_NUMBERS = count()
House = tuple[Gateway, Hop]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = {"max_recipients": MAX_RECIPIENTS, "max_junk_commands": 1000, "max_errors": 1000, "max_messages": 1000}
    with (
        open_hop() as hop,
        running(
            tmp_path_factory.mktemp("conversations"), {"gateway": limits, "relay": {"default": hop.route}}
        ) as gateway,
    ):
        yield gateway, hop


class Conversation(RuleBasedStateMachine):
    """What a server must remember: whether it was greeted, the sender, the recipients, chunks so far."""

    house: ClassVar[House]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.client = self._stack.enter_context(Client(self.house[0].port))
        assert self.client.read().code == 220
        self.greeted = self.mail = False
        self.recipients: list[str] = []
        self.chunks: bytes | None = None

    def teardown(self) -> None:
        assert self.client.say("QUIT").code == 221
        assert self.client.hung_up
        self._stack.close()

    def _forget(self) -> None:
        self.mail, self.recipients, self.chunks = False, [], None

    def _arrived(self, content: bytes) -> None:
        for to in self.recipients:
            assert self.house[1].wait_for(to).body == content
            assert len(self.house[1].to(to)) == 1

    @rule(verb=st.sampled_from(["EHLO", "HELO", "ehlo"]))
    def hello(self, verb: str) -> None:
        assert self.client.say(f"{verb} client.example").code == 250
        self.greeted = True
        self._forget()

    @rule()
    def sender(self) -> None:
        code = self.client.say("MAIL FROM:<author@sender.example>").code
        assert code == (250 if self.greeted and not self.mail else 503)
        self.mail = self.mail or code == 250

    @rule()
    def recipient(self) -> None:
        to = f"c{next(_NUMBERS)}@house.example"
        code = self.client.say(f"RCPT TO:<{to}>").code
        if not self.mail or self.chunks is not None:
            assert code == 503
        elif len(self.recipients) == MAX_RECIPIENTS:
            assert code == 452
        else:
            assert code == 250
            self.recipients.append(to)

    @rule(lines=st.lists(st.sampled_from([b"text", b".", b"..", b"", b"QUIT"]), max_size=4))
    def data(self, lines: list[bytes]) -> None:
        code = self.client.say("DATA").code
        if not self.recipients or self.chunks is not None:
            assert code == 503
            return
        assert code == 354
        stuffed = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
        self.client.write(stuffed + b".\r\n")
        assert self.client.read().code == 250
        self._arrived(b"".join(line + b"\r\n" for line in lines))
        self._forget()

    @rule(octets=st.sampled_from([b"", b"text\r\n", b".\r\n", b"QUIT\r\n"]), last=st.booleans())
    def chunk(self, octets: bytes, last: bool) -> None:
        self.client.write(f"BDAT {len(octets)}{' LAST' if last else ''}\r\n".encode() + octets)
        code = self.client.read().code
        if not self.recipients:
            assert code == 503
            return
        assert code == 250
        self.chunks = (self.chunks or b"") + octets
        if last:
            self._arrived(self.chunks)
            self._forget()

    @rule()
    def reset(self) -> None:
        assert self.client.say("RSET").code == 250
        self._forget()

    @rule(
        said=st.sampled_from(
            [("NOOP", 250), ("VRFY x", 252), ("HELP", 214), ("EXPN x", 502), ("WHAT", 500), ("RSET now", 501)]
        )
    )
    def aside(self, said: tuple[str, int]) -> None:
        assert self.client.say(said[0]).code == said[1]

    @rule(path=st.sampled_from(["MAIL FROM:<a@b.example> SIZE=x", "MAIL FROM:a", "RCPT TO:<>", "RCPT TO:<a"]))
    @precondition(lambda self: self.greeted)
    def mistake(self, path: str) -> None:
        assert self.client.say(path).code in (501, 503)


def test_any_sequence_of_commands_is_answered_as_the_standard_has_it(house: House) -> None:
    class Here(Conversation):
        pass

    Here.house = house
    patient: Any = settings(
        max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Here, settings=patient)  # type: ignore[no-untyped-call]
