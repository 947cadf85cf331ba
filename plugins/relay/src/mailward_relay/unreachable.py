"""Hosts that could not be reached a moment ago, and are left in peace for a while (KAV-QUE-02)."""

from __future__ import annotations

from attrs import field, frozen

from mailward import Clock, Expiring, NextHop, Reply
from mailward_relay.wire import LinkError

LEAST_S, MOST_S = 60.0, 64_800.0
SHARE_OF_RETRY = 0.75
MOST_PUT_OFF = 10_000
"""Messages that are remembered for one host."""


def period_s(wanted_s: float | None, first_retry_s: float) -> float:
    """How long a host is left in peace: always less than the wait before the second attempt.

    Else the second attempt would fail without having been one. Raises ValueError where the setting says
    otherwise, or is out of range.
    """
    if wanted_s is None:
        return min(first_retry_s * SHARE_OF_RETRY, MOST_S)
    if not LEAST_S <= wanted_s <= MOST_S:
        raise ValueError(f"unreachable_cache_s = {wanted_s:g}: out of range; allowed: {LEAST_S:g} to {MOST_S:g}")
    if wanted_s >= first_retry_s:
        raise ValueError(
            f"unreachable_cache_s = {wanted_s:g}: is not less than delivery.retry_first_s = {first_retry_s:g}; "
            "the second attempt would never be made"
        )
    return wanted_s


@frozen
class Attempt:
    """Whose attempt it is: the message, and how many attempts it has had before."""

    message_id: str
    number: int


@frozen(eq=False)
class _Note:
    """Why a host was not reached, and whom that has put off: message → number of its attempt."""

    detail: str
    reply: Reply | None
    put_off: dict[str, int] = field(factory=dict)


class Unreachable:
    """Remembers why a host could not be reached.

    A message is put off once by one failure: if it comes again before its time, an operator wants it tried.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._notes: Expiring[NextHop, _Note] = Expiring(clock.monotonic)

    def note(self, hop: NextHop, fault: LinkError, attempt: Attempt | None = None) -> None:
        """It could not be reached just now, in this attempt."""
        note = _Note(fault.detail, fault.reply)
        self._put_off(note, attempt)
        self._notes.put(hop, note, self._seconds)

    def forget(self, hop: NextHop) -> None:
        """It has been reached."""
        self._notes.forget(hop)

    def why(self, hop: NextHop, attempt: Attempt | None = None) -> LinkError | None:
        """Why it is not to be tried now; None where it may be."""
        note = self._notes.get(hop)
        if note is None:
            return None
        if attempt is not None and note.put_off.get(attempt.message_id, attempt.number) < attempt.number:
            return None
        self._put_off(note, attempt)
        fault = LinkError(f"not tried again yet: {note.detail}", note.reply)
        fault.untried = True
        return fault

    @staticmethod
    def _put_off(note: _Note, attempt: Attempt | None) -> None:
        if attempt is not None and len(note.put_off) < MOST_PUT_OFF:
            note.put_off[attempt.message_id] = attempt.number
