"""Works on a queue without pause and says on standard output what is done, until it is killed.

Lines: ``commit ID``, ``state ID ATTEMPTS``, ``move ID QUEUE``, ``removing ID`` (before it is done).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from attrs import evolve

from mailward.spool.committer import Committer
from mailward.spool.entry import Entry, Queue
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient


def body_of(message_id: str) -> bytes:
    return (message_id.encode() + b"\r\n") * random.Random(message_id).choice((1, 300, 20_000))


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def live(spool: Spool, committer: Committer) -> None:
    while True:
        incoming = spool.begin()
        incoming.write(body_of(incoming.id))
        envelope = Envelope(id=incoming.id, recipients=(Recipient(Address("bob", "example.org")),))
        (entry,) = await committer.commit(incoming, (Entry(incoming.id, envelope),))
        say("commit", entry.id)
        for attempts in range(1, random.randint(1, 4)):
            entry = evolve(entry, attempts=attempts)
            await committer.update(entry)
            say("state", entry.id, attempts)
        queue = random.choice(list(Queue))
        await committer.update(evolve(entry, queue=queue), source=entry.queue)
        say("move", entry.id, queue)
        if random.random() < 0.3:
            say("removing", entry.id)
            await committer.remove(evolve(entry, queue=queue))


async def main() -> None:
    spool = Spool(Path(sys.argv[1]))
    spool.open()
    committer = Committer(spool)
    say("ready")
    await asyncio.gather(*[live(spool, committer) for _ in range(8)])


if __name__ == "__main__":
    asyncio.run(main())
