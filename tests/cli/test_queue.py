"""``mailward queue`` on a spool that no gateway uses."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailward import Address, Envelope, Recipient, Reply, Sender, Session
from mailward.cli import queue_view
from mailward.cli.output import console
from mailward.spool.admin import listing
from mailward.spool.entry import Entry, Failure, Queue
from mailward.spool.spool import Spool

Run = Callable[..., Any]
BODY = b"Subject: hi\r\n\r\nhello\r\n"


class Store:
    """A spool with a few messages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._spool = Spool(root)
        self._spool.open()

    def put(self, sender: str, *recipients: str, queue: Queue = Queue.SLOW, **fields: Any) -> str:
        """Put a message in the queue; its id."""
        incoming = self._spool.begin()
        incoming.write(BODY)
        envelope = Envelope(
            Session("s1", "192.0.2.1", helo="client.example"),
            Sender(Address.parse(sender)),
            tuple(Recipient(Address.parse(one)) for one in recipients),
            incoming.id,
            1000.0,
        )
        self._spool.commit(incoming, Entry(incoming.id, envelope, queue=queue, **{"created_at": 1000.0, **fields}))
        return incoming.id

    def close(self) -> None:
        """Let go of the spool, so that commands work on it themselves."""
        self._spool.close()

    @property
    def left(self) -> dict[str, str]:
        """Ids and queues of what is there."""
        return {entry.id: str(entry.queue) for entry in listing(self.root)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store(tmp_path / "mailward-data")
    yield one
    one.close()


@pytest.fixture
def three(store: Store) -> tuple[str, str, str]:
    failure = Failure("bob@a.example", Reply(451, "4.3.0", "later"), "greylisted", "smtp:mx.a.example:25", 1500.0)
    ids = (
        store.put("ann@x.example", "bob@a.example", created_at=1.0, attempts=2, retry_at=2000.0, results=(failure,)),
        store.put("", "eve@b.example", "bob@b.example", created_at=2.0, queue=Queue.HOLD, reason="antivirus: odd"),
        store.put("spam@y.example", "bob@c.example", created_at=3.0),
    )
    store.close()
    return ids


def test_an_empty_queue(run: Run) -> None:
    assert run("queue", "list").out.strip() == "0 messages"
    assert run("queue", "list", "--json").json == {"messages": [], "damaged": []}


def test_messages_are_listed_oldest_first_with_what_keeps_them(run: Run, three: tuple[str, str, str]) -> None:
    done = run("queue", "list")
    assert done.status == 0
    heading, *rows, count = done.out.splitlines()
    assert heading.split() == ["id", "queue", "since", "size", "tries", "from", "to", "why"]
    assert [row.split()[0] for row in rows] == list(three)
    assert "ann@x.example" in rows[0]
    assert "451 4.3.0 later" in rows[0]
    assert "hold" in rows[1]
    assert "<>" in rows[1]
    assert "eve@b.example, bob@b.example" in rows[1]
    assert "antivirus: odd" in rows[1]
    assert count.strip() == "3 messages"


def test_a_long_list_looks_like_a_short_one(
    store: Store, three: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    again = Store(store.root)
    again.put("\u4f60\u597d@x.example", "red@a.example", reason="\x1b[31m\u4f60 is\u202ewide", created_at=4.0)
    again.close()
    entries = listing(store.root)
    assert len(entries) == len(three) + 1
    shown: list[list[str]] = []
    for most in (len(entries), len(entries) - 1):
        monkeypatch.setattr(queue_view, "MOST_IN_TABLE", most)
        queue_view.print_entries(console(), entries)
        shown.append(capsys.readouterr().out.splitlines())
    assert shown[1] == [line.rstrip() for line in shown[0]] != shown[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--queue", "hold"], [1]),
        (["--sender", "*@y.example"], [2]),
        (["--sender", ""], [1]),
        (["--recipient", "bob@*"], [0, 1, 2]),
        (["--recipient", "eve@*"], [1]),
        (["--queue", "slow", "--recipient", "*@c.example"], [2]),
        (["--queue", "fast"], []),
        (["--domain", "b.example"], [1]),
        (["--older", "1 h"], [0, 1, 2]),
        (["--newer", "1 h"], []),
        (["--larger", "1 KB"], []),
        (["--smaller", "1 KB", "--queue", "hold"], [1]),
        (["--reason", "*odd"], [1]),
        (["--reason", "451*"], [0]),
        (["--reason", "greylist*"], [0]),
        (["--next-hop", "smtp:mx.a.example:*"], [0]),
        (["--id-prefix", "nothing"], []),
    ],
)
def test_filters(run: Run, three: tuple[str, str, str], options: list[str], expected: list[int]) -> None:
    found = run("queue", "list", "--json", *options).json["messages"]
    assert [message["id"] for message in found] == [three[number] for number in expected]
    assert all(message["queue"] for message in found)


def test_one_message_is_shown_whole(run: Run, three: tuple[str, str, str]) -> None:
    done = run("queue", "show", three[0])
    assert done.status == 0
    for text in (
        "ann@x.example",
        "bob@a.example",
        "192.0.2.1 (client.example)",
        "1970-01-01",
        "22 bytes",
        "greylisted",
    ):
        assert text in done.out
    assert run("queue", "show", three[1], "--json").json["reason"] == "antivirus: odd"
    assert run("queue", "show", three[1], "--raw").out.encode() == BODY


def test_what_is_not_there_is_status_1(run: Run, three: tuple[str, str, str]) -> None:
    done = run("queue", "show", "nothere")
    assert (done.status, done.err) == (1, "error: nothere: not in the queue\n")
    done = run("queue", "retry", "nothere", three[0])
    assert done.status == 1
    assert "nothere not in the queue" in done.out
    assert "1 of 2 tried again" in done.out


def test_retry_and_hold_and_release(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    assert run("queue", "retry", three[0]).status == 0
    assert listing(store.root)[0].retry_at > 2000
    assert run("queue", "retry", three[1]).status == 1
    assert run("queue", "hold", "--sender", "*@y.example", "--yes").status == 0
    assert store.left[three[2]] == "hold"
    (one, two) = run("queue", "release", "--queue", "hold", "--json", "--yes").json
    assert (one["ok"], two["ok"]) == (True, True)
    assert {store.left[three[1]], store.left[three[2]]} == {"fast"}


def test_drop_asks_and_does_nothing_without_a_yes(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    done = run("queue", "drop", three[0], stdin=b"n\n")
    assert done.status == 1
    assert "Drop 1 message for good?" in done.err
    assert "ann@x.example" in done.err
    assert len(store.left) == 3
    assert run("queue", "drop", three[0], stdin=b"y\n").status == 0
    assert set(store.left) == set(three[1:])


def test_drop_does_not_ask_where_yes_was_said(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    done = run("queue", "drop", "--recipient", "*@c.example", "--yes")
    assert done.status == 0
    assert "1 of 1 dropped" in done.out
    assert set(store.left) == set(three[:2])


def test_all_has_to_be_said(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    assert run("queue", "drop", "--yes").status == 2
    assert len(store.left) == 3
    assert run("queue", "drop", "--yes", "--all").status == 0
    assert store.left == {}


def test_a_filter_narrows_ids_down(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    assert run("queue", "drop", "--yes", *three, "--queue", "hold").status == 0
    assert set(store.left) == {three[0], three[2]}


def test_forward_copies(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    assert run("queue", "forward", three[1], "--to", "guard@example.com").status == 0
    (new,) = [entry for entry in listing(store.root) if entry.id not in three]
    assert [str(one.address) for one in new.envelope.recipients] == ["guard@example.com"]
    assert store.left[three[1]] == "hold"
    assert run("queue", "forward", three[1]).status == 2


def test_a_filter_that_lets_nothing_through_does_nothing(run: Run, store: Store, three: tuple[str, str, str]) -> None:
    done = run("queue", "drop", "--yes", "--sender", "nobody@*")
    assert done.status == 0
    assert "0 of 0 dropped" in done.out
    assert len(store.left) == 3


@pytest.mark.parametrize("verb", ["drop", "hold", "release", "reprocess", "forward"])
def test_sav_q_05_what_is_about_a_whole_queue_is_asked_for(
    run: Run, store: Store, three: tuple[str, str, str], verb: str
) -> None:
    more = ["--to", "lab@example.com"] if verb == "forward" else []
    done = run("queue", verb, "--all", *more, stdin=b"n\n")
    assert done.status == 1
    assert "3 messages" in done.err
    assert len(listing(store.root)) == 3
    assert store.left[three[1]] == "hold"


def test_sav_q_05_reprocess_puts_what_is_held_before_the_scan(run: Run, store: Store, three: tuple[str, ...]) -> None:
    done = run("queue", "reprocess", "--queue", "hold", stdin=b"y\n")
    assert done.status == 0
    assert "may crash it again" in done.err
    assert store.left[three[1]] == "incoming"
    assert run("queue", "reprocess", three[0]).status == 1


def test_sav_q_05_a_forward_may_have_a_subject_of_its_own(run: Run, store: Store, three: tuple[str, ...]) -> None:
    done = run("queue", "forward", "--queue", "hold", "--to", "lab@example.com", "--subject", "Gehört", "--yes")
    assert done.status == 0
    (new,) = [entry for entry in listing(store.root) if entry.id not in three]
    body, place = b"", 0
    for splice in new.splices:
        body += BODY[place : splice.start] + splice.data
        place = splice.end
    message = email.message_from_bytes(body + BODY[place:], policy=email.policy.default)
    assert message.get_all("Subject") == ["Gehört"]
    assert message.get_content().rstrip() == "hello"
    assert store.left[three[1]] == "hold"


def test_counts_by_queue(run: Run, three: tuple[str, ...]) -> None:
    done = run("queue", "stats", "--json").json
    assert set(done["queues"]) == {"incoming", "fast", "slow", "hold", "quarantine"}
    assert done["queues"]["slow"] == {
        "queue": "slow",
        "messages": 2,
        "recipients": 2,
        "size_bytes": 2 * len(BODY),
        "oldest_at": 1.0,
    }
    assert done["queues"]["hold"]["recipients"] == 2
    assert done["damaged"] == 0
    assert run("queue", "stats", "--domain", "c.example", "--json").json["queues"]["slow"]["messages"] == 1
    assert "slow" in run("queue", "stats").out


@pytest.mark.parametrize("wrong", [["--older", "soon"], ["--larger", "big"], ["--queue", "nowhere"]])
def test_a_filter_that_cannot_be_read_is_status_2(run: Run, wrong: list[str]) -> None:
    assert run("queue", "list", *wrong).status == 2
