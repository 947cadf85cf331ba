"""A message in line for a scan, and then in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from time import monotonic

from mailward.scan.codes import PROTOCOL
from mailward.scan.content import Content
from mailward.scan.protocol import Answer, Job
from mailward.values.decision import Copy
from mailward.values.envelope import Envelope, Recipient
from mailward.values.errors import ScanError
from mailward.values.wire import dump


class Ticket:
    """One try at one message. ``answer`` is what the one who wants it waits for; cancelled, nobody does.

    ``deadline_at`` is on the clock of `time.monotonic`; ``crashes`` counts the scan processes that
    earlier tries ended.
    """

    __slots__ = ("answer", "content", "crashes", "deadline_at", "envelope", "taken_at")

    def __init__(self, envelope: Envelope, content: Content, deadline_at: float, crashes: int = 0) -> None:
        self.envelope = envelope
        self.content = content
        self.deadline_at = deadline_at
        self.crashes = crashes
        self.taken_at = monotonic()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def left_s(self) -> float:
        """The time that is left, never less than nothing."""
        return max(self.deadline_at - monotonic(), 0.0)

    def check(self, answer: Answer) -> None:
        """Raise ScanError where an answer cannot be one to this message: of another, or not for all its recipients."""
        verdict = answer.verdict
        if verdict is None:
            sound = bool(answer.reason) and answer.crashes >= 0
        else:
            sound = verdict.id == self.envelope.id and _for_all(verdict.copies, self.envelope.recipients)
        if not sound:
            raise ScanError(PROTOCOL, "the answer does not belong to the message")

    def job(self) -> bytes:
        """The JSON of the request."""
        return dump(Job(self.envelope, self.content.size_bytes, self.left_s()))


def _for_all(copies: tuple[Copy, ...], recipients: tuple[Recipient, ...]) -> bool:
    if len(copies) == 1 and copies[0].recipients == recipients:  # nearly always, and without a hash of each
        return True
    return Counter(one for copy in copies for one in copy.recipients) == Counter(recipients)
