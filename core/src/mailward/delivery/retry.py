"""When to try again, and when to give up: arithmetic only."""

from __future__ import annotations

from attrs import frozen

from mailward.engine.delivery_settings import DeliverySettings

JITTER = 0.1
"""Share of a wait by which it is made longer or shorter, so that retries spread."""

_MAX_DOUBLINGS = 32


@frozen
class Retry:
    """The schedule of retries; times are Unix seconds (KAV-QUE-01)."""

    first_s: float
    max_s: float
    lifetime_s: float

    @classmethod
    def of(cls, settings: DeliverySettings) -> Retry:
        """The schedule that the settings describe."""
        return cls(settings.retry_first_s, settings.retry_max_s, settings.lifetime_s)

    def wait_s(self, attempts: int, jitter: float = 0.0) -> float:
        """The wait after the ``attempts``-th failed attempt; ``jitter`` lies in -1..1."""
        doublings = min(max(attempts, 1) - 1, _MAX_DOUBLINGS)
        return min(self.first_s * 2.0**doublings, self.max_s) * (1.0 + JITTER * jitter)

    def left_s(self, retry_at: float, now: float) -> float:
        """The wait until ``retry_at``, and no longer than the longest wait between two attempts.

        A time that lies further ahead was written before the time of day was set back.
        """
        return min(retry_at - now, max(self.first_s, self.max_s) * (1.0 + JITTER))

    def expired(self, created_at: float, now: float) -> bool:
        """Whether a message is too old to be tried again."""
        return now >= created_at + self.lifetime_s

    def next_at(self, created_at: float, attempts: int, now: float, jitter: float = 0.0) -> float:
        """When to try next; the last attempt is made when the lifetime ends, not some hours before."""
        at, end = now + self.wait_s(attempts, jitter), created_at + self.lifetime_s
        return min(at, end) if end > now else at
