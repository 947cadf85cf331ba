"""Messages that end their scan processes: counted, and after the third time put in hold (SAV-Q-04).

A crash costs milliseconds, so a message is tried again in the same transaction, up to three times. A
hang costs the whole deadline, so there is no time for a second try: the client is told to come back,
and the message is known again by size and fingerprint when it does. Either way three processes are
all that it gets.
"""

from __future__ import annotations

from collections import OrderedDict

from mailward.engine.policy import DEFAULT
from mailward.scan.content import Content
from mailward.values.action import Hold
from mailward.values.decision import Copy, Decision, Verdict
from mailward.values.envelope import Envelope
from mailward.values.finding import Finding, Kind

MAX_CRASHES = 3
MAX_REMEMBERED = 1000
CORE = "core"
RULE = "suspect"


class Suspects:
    """How many scan processes each message has ended, while it has not been put in hold.

    Holds so many of the latest; bodies are fingerprinted only while one of their size is known.
    """

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._most = max_remembered
        self._crashes: OrderedDict[tuple[int, bytes], int] = OrderedDict()
        self._sizes: dict[int, int] = {}

    def crashes(self, content: Content) -> int:
        """What is known of a message; 0 for one that was never seen. Raises ScanError where it cannot be read."""
        if content.size_bytes not in self._sizes:
            return 0
        return self._crashes.get(_key(content), 0)

    def note(self, content: Content, crashes: int) -> None:
        """Note that the message is at this count; at none, or enough for hold, it is forgotten: the next begins anew.

        Raises ScanError where it cannot be read.
        """
        key = _key(content)
        if not 0 < crashes < MAX_CRASHES:
            if key in self._crashes:
                self._drop(key)
            return
        if key not in self._crashes:
            self._sizes[key[0]] = self._sizes.get(key[0], 0) + 1
        self._crashes[key] = crashes
        self._crashes.move_to_end(key)
        if len(self._crashes) > self._most:
            self._drop(next(iter(self._crashes)))

    def _drop(self, key: tuple[int, bytes]) -> None:
        del self._crashes[key]
        self._sizes[key[0]] -= 1
        if not self._sizes[key[0]]:
            del self._sizes[key[0]]


def _key(content: Content) -> tuple[int, bytes]:
    return content.size_bytes, content.digest()


def held(envelope: Envelope, crashes: int, reason: str) -> Verdict:
    """The verdict on a message that was scanned in vain: hold, for all its recipients, with the reason."""
    detail = f"its scan ended {crashes} scan processes; the last time: {reason}"
    finding = Finding(Kind.UNCHECKED, CORE, RULE, name=RULE, detail=detail, action=Hold())
    decided = Decision(Hold(), (), (finding,), CORE, f"{RULE}: {detail}")
    return Verdict(envelope.id, (Copy(DEFAULT, envelope.recipients, Hold(), decided, (finding,)),))
