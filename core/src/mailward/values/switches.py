"""What an operator has switched off for the time being."""

from __future__ import annotations

from attrs import frozen


@frozen
class Switches:
    """The switches of a running gateway; all on is the ordinary state.

    ``receive``: connections are taken; off, nobody listens (KAV-MGT-01 recv-off). ``accept``: mail is
    accepted; off, every client is told 421, and what is queued still goes out (SAV-DLV-02). ``scan``:
    content is judged; off, what arrives waits unscanned in the incoming queue, and nothing of it goes
    on (KAV-MGT-01 avir-off). ``deliver``: the fast and the slow queue are worked off; off, mail is
    accepted and waits (SAV-DLV-01). ``send``: the same for the connections themselves: off, no
    attempt begins and kept connections are closed (KAV-MGT-01 send-off).
    """

    receive: bool = True
    accept: bool = True
    scan: bool = True
    deliver: bool = True
    send: bool = True

    @property
    def delivers(self) -> bool:
        """Whether attempts may begin."""
        return self.deliver and self.send
