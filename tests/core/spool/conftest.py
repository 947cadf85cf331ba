from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailward.spool.entry import Entry
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient, Sender, Session

BODY = b"Subject: hello\r\nFrom: alice@example.com\r\n\r\nThe body.\r\n"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    one = Spool(tmp_path)
    one.open()
    yield one
    one.close()


@pytest.fixture
def make_entry() -> Callable[..., Entry]:
    def make(message_id: str, *recipients: str, **fields: object) -> Entry:
        envelope = Envelope(
            session=Session(id="s1", client_ip="192.0.2.1", helo="client.example"),
            sender=Sender(Address.parse("alice@example.com"), (("SIZE", "100"),)),
            recipients=tuple(Recipient(Address.parse(text)) for text in recipients or ("bob@example.org",)),
            id=message_id,
            received_at=1000.0,
        )
        fields.setdefault("created_at", 1000.0)
        return Entry(id=message_id, envelope=envelope, **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def stored(spool: Spool, make_entry: Callable[..., Entry]) -> Callable[..., Entry]:
    """Puts a message in the queue and gives its entry."""

    def store(*recipients: str, body: bytes = BODY, **fields: object) -> Entry:
        incoming = spool.begin()
        incoming.write(body)
        (entry,) = spool.commit(incoming, make_entry(incoming.id, *recipients, **fields))
        return entry

    return store
