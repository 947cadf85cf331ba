"""Links: open connections to next hops, ready for MAIL."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from mailward_relay.wire import LinkError, Wire


@define(eq=False)
class Link:
    """One connection to a next hop, ready for MAIL.

    ``extensions`` maps what EHLO or LHLO offered, in lower case, to its parameters; ``lmtp`` says which
    of the two it was; ``tls`` says how the connection is protected (empty: not at all); ``messages``
    counts the transactions so far, ``dirty`` says that one was left open and RSET is due.
    """

    wire: Wire
    peer: str
    extensions: Mapping[str, str]
    tls: str = ""
    lmtp: bool = False
    messages: int = 0
    dirty: bool = False

    @property
    def reused(self) -> bool:
        """Whether it has carried a message before, so that it may have gone stale."""
        return self.messages > 0

    @property
    def described(self) -> str:
        """The connected-to record: the peer, Actual or Cached, and the protection (SAV-DLV-04)."""
        how = "cached" if self.reused else "actual"
        return f"connected to {self.peer} ({how}{f', {self.tls}' if self.tls else ''})"

    async def quit(self, timeout_s: float) -> None:
        """Say goodbye and close; a peer that does not answer is left."""
        try:
            if self.wire.usable:
                self.wire.send(b"QUIT\r\n", replies=1)
                await self.wire.reply(timeout_s)
        except LinkError:
            pass
        finally:
            self.wire.close()
        await self.wire.gone(timeout_s)
