"""A message in line for a scan, and then in it."""

from __future__ import annotations

import asyncio
from time import monotonic

from mailward.scan.content import Content
from mailward.scan.protocol import Answer, Job
from mailward.values.envelope import Envelope
from mailward.values.wire import dump


class Ticket:
    """One try at one message. ``answer`` is what the one who wants it waits for; cancelled, nobody does.

    ``deadline_at`` is on the clock of `time.monotonic`; ``suspect``: an earlier try ended its process.
    """

    __slots__ = ("answer", "content", "deadline_at", "envelope", "suspect", "taken_at")

    def __init__(self, envelope: Envelope, content: Content, deadline_at: float, suspect: bool) -> None:
        self.envelope = envelope
        self.content = content
        self.deadline_at = deadline_at
        self.suspect = suspect
        self.taken_at = monotonic()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def left_s(self) -> float:
        """The time that is left, never less than nothing."""
        return max(self.deadline_at - monotonic(), 0.0)

    def job(self) -> bytes:
        """The JSON of the request."""
        return dump(Job(self.envelope, self.content.size_bytes, self.left_s()))
