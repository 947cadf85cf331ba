"""The record of a delivery attempt's conversation, where ``[diagnostics] outbound`` asks for one (SAV-DIA-02)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailward import ConversationLog, Delivery, Fault, Reply
from mailward_relay.link import Link
from mailward_relay.wire import LinkError

_UNSUPPORTED = frozenset({502, 504, 555})
_PROTOCOL = frozenset({500, 501, 503})


def _kind(reply: Reply) -> Fault:
    """What a refusal counts as."""
    if reply.code in _UNSUPPORTED:
        return Fault.UNSUPPORTED
    return Fault.PROTOCOL if reply.code in _PROTOCOL else Fault.LOCAL


@contextmanager
def recorded(log: ConversationLog, delivery: Delivery, link: Link) -> Iterator[None]:
    """Write down what is said on a link in this block; a file of its own for each attempt."""
    message = delivery.message
    recorder = log.begin(f"message {message.id}, attempt {message.attempts + 1}, {link.described}")
    if recorder is None:
        yield
        return
    recorder.note(f"offered: {' '.join(sorted(link.extensions)).upper() or 'nothing'}")
    link.wire.record(recorder)
    try:
        yield
    except LinkError as fault:
        recorder.fault(Fault.COMMUNICATION if fault.reply is None else _kind(fault.reply), fault.detail)
        fault.recorded = True
        raise
    else:
        if link.wire.fault is not None:
            recorder.fault(Fault.COMMUNICATION, link.wire.fault.detail)
    finally:
        for reply in link.wire.record(None):
            recorder.fault(_kind(reply))
        recorder.close()


def not_reached(log: ConversationLog, delivery: Delivery, fault: LinkError) -> None:
    """Write down that a next hop could not be spoken to, unless a record tells of it already."""
    if fault.recorded:
        return
    message = delivery.message
    recorder = log.begin(f"message {message.id}, attempt {message.attempts + 1}, {delivery.next_hop}")
    if recorder is not None:
        recorder.fault(Fault.COMMUNICATION, fault.detail)
        recorder.close()
