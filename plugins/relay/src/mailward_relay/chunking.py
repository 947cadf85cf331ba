"""Which next hops get small messages in one chunk together with their commands (RFC 3030)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mailward import Expiring, NextHop
from mailward_relay.link import Link

WITHOUT_S = 3600.0
"""How long a next hop gets no chunks after one has failed."""


class ChunkFailures:
    """Next hops that offer CHUNKING and could not do it, or behind a network that cannot."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._hops: Expiring[NextHop, bool] = Expiring(monotonic)

    def note(self, hop: NextHop) -> None:
        """A chunk was not understood, or got no answer."""
        self._hops.put(hop, True, WITHOUT_S)

    def __contains__(self, hop: NextHop) -> bool:
        return self._hops.get(hop) is not None


@frozen
class Chunking:
    """Whether one message may go in a chunk.

    ``wanted`` says so of the settings and the message: one that has been tried before goes with DATA, so
    that what breaks chunks never keeps it for ever.
    """

    wanted: bool
    hop: NextHop
    failures: ChunkFailures

    def suits(self, link: Link) -> bool:
        """Whether the peer of a link takes chunks, and together with commands.

        LMTP servers that know CHUNKING are few, and near: nothing is to be gained there.
        """
        offered = "pipelining" in link.extensions and "chunking" in link.extensions
        return self.wanted and offered and not link.lmtp and self.hop not in self.failures

    def failed(self) -> None:
        """Have the next messages to this next hop go with DATA."""
        self.failures.note(self.hop)
