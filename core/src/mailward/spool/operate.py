"""What an operator can do with a queued message."""

from __future__ import annotations

from enum import StrEnum

from attrs import evolve, frozen

from mailward.spool.entry import Entry, Queue
from mailward.spool.salvage import salvage
from mailward.spool.spool import Spool
from mailward.values.address import Address
from mailward.values.edit import AddHeader, RemoveHeader, Splice
from mailward.values.envelope import Envelope, Recipient
from mailward.values.errors import SpoolError

_KEPT = (Queue.HOLD, Queue.QUARANTINE)


class Verb(StrEnum):
    """The operator's verbs."""

    RETRY = "retry"
    DROP = "drop"
    HOLD = "hold"
    RELEASE = "release"
    REPROCESS = "reprocess"
    FORWARD = "forward"
    RECOVER = "recover"


@frozen
class Request:
    """One verb for several messages; ``to`` is the address of a forward, ``subject`` that of its copies.

    What is recovered are no messages but segments of the journal that were set aside, by their names.
    """

    verb: Verb
    ids: tuple[str, ...]
    to: str = ""
    subject: str = ""


@frozen
class Outcome:
    """What became of one message: ``text`` says it to the operator, whether it worked or not."""

    id: str
    ok: bool
    text: str


@frozen
class Operated:
    """An outcome, and the entry as it is now: None where it is gone or was not touched."""

    outcome: Outcome
    entry: Entry | None = None


def operate(spool: Spool, request: Request, message_id: str) -> Operated:
    """Carry out a request for one message; what fails is said in the outcome, never raised."""
    try:
        if request.verb is Verb.RECOVER:
            return Operated(Outcome(message_id, True, salvage(spool, message_id)))
        entry = spool.find(message_id)
        if entry is None:
            return Operated(Outcome(message_id, False, "not in the queue"))
        return _VERBS[request.verb](spool, entry, request)
    except (SpoolError, ValueError) as error:
        return Operated(Outcome(message_id, False, str(error)))


def _retry(spool: Spool, entry: Entry, request: Request) -> Operated:
    if entry.queue in _KEPT:
        return Operated(Outcome(entry.id, False, f"is in {entry.queue}: release it instead"))
    due = evolve(entry, retry_at=spool.clock.time())
    spool.append_state(due)
    return Operated(Outcome(entry.id, True, "will be tried now"), due)


def _drop(spool: Spool, entry: Entry, request: Request) -> Operated:
    spool.remove(entry)
    return Operated(Outcome(entry.id, True, f"dropped from {entry.queue}"))


def _hold(spool: Spool, entry: Entry, request: Request) -> Operated:
    if entry.queue in _KEPT:
        return Operated(Outcome(entry.id, False, f"is in {entry.queue} already"))
    held = spool.move(evolve(entry, reason="held by the operator"), Queue.HOLD)
    return Operated(Outcome(entry.id, True, "held"), held)


def _release(spool: Spool, entry: Entry, request: Request) -> Operated:
    if entry.queue not in _KEPT:
        return Operated(Outcome(entry.id, False, f"is in {entry.queue}: nothing to release"))
    # Time spent waiting for the operator is not held against the message: its life starts anew.
    fresh = evolve(entry, reason="", attempts=0, retry_at=0.0, created_at=spool.clock.time())
    return Operated(Outcome(entry.id, True, "released"), spool.move(fresh, Queue.FAST))


def _reprocess(spool: Spool, entry: Entry, request: Request) -> Operated:
    if entry.queue not in _KEPT:
        return Operated(Outcome(entry.id, False, f"is in {entry.queue}: only what is kept can be judged again"))
    fresh = evolve(
        entry, reason="", attempts=0, retry_at=0.0, started=0, results=(), warned=False, created_at=spool.clock.time()
    )
    return Operated(Outcome(entry.id, True, "will be judged again"), spool.move(fresh, Queue.INCOMING))


def _forward(spool: Spool, entry: Entry, request: Request) -> Operated:
    to = Address.parse(request.to)
    if to.is_null:
        raise ValueError("forward needs the address to send the copy to")
    now, new_id = spool.clock.time(), spool.new_id()
    envelope: Envelope = evolve(entry.envelope, recipients=(Recipient(to),))
    new = evolve(
        entry,
        id=new_id,
        origin=entry.origin or entry.id,
        queue=Queue.FAST,
        envelope=envelope,
        reason="",
        created_at=now,
        attempts=0,
        retry_at=0.0,
        started=0,
        results=(),
        warned=False,
    )
    if request.subject:
        new = evolve(new, splices=_with_subject(spool, entry, request.subject))
    copied = spool.copy(entry, new)
    return Operated(Outcome(entry.id, True, f"copy {new_id} goes to {to}; the original stays"), copied)


def _with_subject(spool: Spool, entry: Entry, subject: str) -> tuple[Splice, ...]:
    """The entry's splices outside its header, and those that give it another subject."""
    # here, because whoever only lists the queue needs no tree of a message
    from mailward.mime import Message, resolve

    head = spool.content(entry).head()
    with Message.from_bytes(head + b"\r\n") as message:
        new = resolve(message, (RemoveHeader("Subject"), AddHeader("Subject", subject)))
    return (*new, *(splice for splice in entry.splices if splice.start >= len(head)))


_VERBS = {
    Verb.RETRY: _retry,
    Verb.DROP: _drop,
    Verb.HOLD: _hold,
    Verb.RELEASE: _release,
    Verb.REPROCESS: _reprocess,
    Verb.FORWARD: _forward,
}
