"""One mail transaction over a link: MAIL, RCPT, content (RFC 5321 section 3.3, RFC 2920, RFC 2033, RFC 3030)."""

from __future__ import annotations

from attrs import frozen

from mailward import Content, Recipient, Reply, Sender, Status
from mailward_relay.chunking import Chunking
from mailward_relay.commands import mail_command, rcpt_command, unsendable, wants_utf8
from mailward_relay.link import Link
from mailward_relay.settings import RelaySettings
from mailward_relay.stuffing import DotStuffer
from mailward_relay.wire import LinkError

CHUNK_BYTES = 65_536
"""Content is read in pieces of this size: the memory that one delivery takes."""

NOT_UNDERSTOOD = frozenset(range(500, 505))
"""Replies that are about a command, not about a message (RFC 5321 section 4.2.2)."""


class ChunkRefusedError(LinkError):
    """The peer offers CHUNKING and does not know BDAT; it does not have the message."""


@frozen
class Outcome:
    """What became of one recipient; ``too_many``: the peer wants it in a transaction of its own.

    ``relayed``, ``final`` and ``untried`` are those of `Result`.
    """

    status: Status
    reply: Reply | None = None
    detail: str = ""
    too_many: bool = False
    relayed: bool = False
    final: bool = False
    untried: bool = False


def judge(reply: Reply) -> Outcome:
    """The outcome that a reply to MAIL, to DATA or to the end of data means."""
    if reply.code < 300:
        return Outcome(Status.DELIVERED, reply)
    return Outcome(Status.FAILED if reply.code >= 500 else Status.DEFERRED, reply)


def judge_recipient(reply: Reply) -> Outcome:
    """The outcome that a refusal of RCPT means.

    452, and 552 where it does not speak of a mailbox, say "too many recipients": temporary, and
    worth another transaction at once (RFC 5321 section 4.5.3.1.10).
    """
    too_many = reply.code in (452, 552) and reply.enhanced[1:] in ("", ".5.3")
    if too_many:
        return Outcome(Status.DEFERRED, reply, too_many=True)
    return judge(reply)


class Transaction:
    """Carries one message over one link.

    `run` raises LinkError where the connection fails before the end of data was sent: nobody has
    the message then, and another link or next hop can be tried. After that it never does: whether
    the peer took the message is not known, and the recipients are deferred.

    A small message goes in one chunk, together with the commands, where the peer takes that: one round
    trip instead of two. There the line is drawn at the reply to MAIL: a peer that did not even give that
    was gone when it was spoken to, as kept connections are. A peer that does not know what it has offered
    makes `run` raise ChunkRefusedError: nobody has the message, and it can go with DATA.
    """

    def __init__(
        self,
        link: Link,
        settings: RelaySettings,
        sender: Sender,
        recipients: tuple[Recipient, ...],
        content: Content,
        chunking: Chunking,
    ) -> None:
        self._link = link
        self._wire = link.wire
        self._settings = settings
        self._sender = sender
        self._recipients = recipients
        self._content = content
        self._chunking = chunking
        self._pipelined = "pipelining" in link.extensions
        self._at_once = content.size_bytes <= CHUNK_BYTES and chunking.suits(link)

    async def run(self) -> list[Outcome]:
        """The outcome for each recipient, in their order."""
        outcomes = [self._refused_here(recipient) for recipient in self._recipients]
        sent = [place for place, outcome in enumerate(outcomes) if outcome is None]
        if sent:
            for place, outcome in zip(sent, await self._converse([self._recipients[p] for p in sent]), strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _refused_here(self, recipient: Recipient) -> Outcome | None:
        extensions = self._link.extensions
        reply = unsendable(self._sender.address, extensions) or unsendable(recipient.address, extensions)
        return None if reply is None else judge(reply)

    async def _converse(self, recipients: list[Recipient]) -> list[Outcome]:
        settings, extensions = self._settings, self._link.extensions
        utf8 = wants_utf8(self._sender, self._recipients)
        mail = mail_command(self._sender, self._content.size_bytes, extensions, utf8=utf8)
        rcpts = [rcpt_command(recipient, extensions) for recipient in recipients]
        chunk = await self._whole() if self._at_once else b""
        reset, self._link.dirty = self._link.dirty, True
        self._link.messages += 1
        if self._pipelined:
            last = b"BDAT %d LAST" % len(chunk) if self._at_once else b"DATA"
            commands = [b"RSET", mail, *rcpts, last, b""] if reset else [mail, *rcpts, last, b""]
            self._wire.send(b"\r\n".join(commands), len(commands) - 1, chunk)
        if reset:
            await self._ask(b"RSET", settings.mail_timeout_s)
        answer = await self._ask(mail, settings.mail_timeout_s)
        if answer.refuses and not self._pipelined:
            return [judge(answer)] * len(recipients)
        if self._at_once:
            return await self._settle(judge(answer), rcpts)
        outcomes = [judge_recipient(await self._ask(rcpt, settings.rcpt_timeout_s)) for rcpt in rcpts]
        if answer.refuses:
            await self._send_nothing(believed=not any(one.status is Status.DELIVERED for one in outcomes))
            return [judge(answer)] * len(recipients)
        return await self._data(outcomes)

    async def _whole(self) -> bytes:
        """A small message in one piece, with a line end at its end."""
        content = b"".join([piece async for piece in self._content.chunks(CHUNK_BYTES)])
        return content if not content or content.endswith(b"\r\n") else content + b"\r\n"

    async def _settle(self, answer: Outcome, rcpts: list[bytes]) -> list[Outcome]:
        """The outcomes of a message that went with its commands; ``answer`` is that of MAIL."""
        outcomes: list[Outcome] = []
        try:
            for rcpt in rcpts:
                outcomes.append(judge_recipient(await self._ask(rcpt, self._settings.rcpt_timeout_s)))
            reply = await self._wire.reply(self._settings.data_termination_timeout_s)
        except LinkError as fault:
            if fault.reply is not None and len(outcomes) < len(rcpts):
                raise  # it has said that it goes, and takes nothing any more
            self._chunking.failed()
            lost = self._lost(fault, 1)[0]
            missing = [lost] * (len(rcpts) - len(outcomes))
            return [lost if one.status is Status.DELIVERED else one for one in outcomes] + missing
        accepted = answer.status is Status.DELIVERED and any(one.status is Status.DELIVERED for one in outcomes)
        self._check_understood(reply, accepted=accepted)
        final = judge(reply)
        # what a refused chunk leaves behind is for RSET (RFC 3030 section 2)
        self._link.dirty = final.status is not Status.DELIVERED
        if reply.code == 421:
            self._wire.close()
        if answer.status is not Status.DELIVERED:
            return [answer] * len(rcpts)
        return [final if one.status is Status.DELIVERED else one for one in outcomes]

    def _check_understood(self, reply: Reply, *, accepted: bool) -> None:
        """Raise ChunkRefusedError where a reply to BDAT says that the peer does not know it.

        Whoever does not may take the content for commands and answer each line: the link is cut then, else
        the next message would read these replies. 503 is also what BDAT gets that no recipient is left for.
        """
        if reply.code // 100 != 3 and reply.code not in NOT_UNDERSTOOD:
            return
        if not accepted and reply.code == 503:
            return
        self._chunking.failed()
        self._wire.abort()
        if accepted and reply.code in NOT_UNDERSTOOD:
            raise ChunkRefusedError(f"{self._link.peer} offers CHUNKING and answered {reply.code} to BDAT", reply)

    async def _ask(self, command: bytes, timeout_s: float) -> Reply:
        """The reply to a command, which is sent now unless it was pipelined."""
        if not self._pipelined:
            self._wire.send(command + b"\r\n", replies=1)
        reply = await self._wire.reply(timeout_s)
        if reply.code == 421:
            raise LinkError(f"{self._link.peer} closes the connection", reply)
        if reply.code // 100 == 3 and command != b"DATA":
            raise LinkError(f"{self._link.peer} answered {reply.code} out of place", reply)
        return reply

    async def _data(self, outcomes: list[Outcome]) -> list[Outcome]:
        if not any(outcome.status is Status.DELIVERED for outcome in outcomes):
            await self._send_nothing(believed=True)
            return outcomes
        reply = await self._ask(b"DATA", self._settings.data_initiation_timeout_s)
        accepted = sum(outcome.status is Status.DELIVERED for outcome in outcomes)
        if reply.code == 354:
            finals = iter(await self._send_content(accepted))
        elif reply.refuses:
            finals = iter([judge(reply)] * accepted)
        else:
            raise LinkError(f"{self._link.peer} answered {reply.code} to DATA", reply)
        return [next(finals) if outcome.status is Status.DELIVERED else outcome for outcome in outcomes]

    async def _send_nothing(self, *, believed: bool) -> None:
        """Answer for a DATA that was pipelined and that no recipient is left for (RFC 2920 section 3.1).

        A peer that breaks off here has given its verdict on every recipient before. One that is not ``believed``
        has refused the sender and taken recipients: a lone dot would be an empty message to these.
        """
        if not self._pipelined:
            return
        try:
            reply = await self._ask(b"DATA", self._settings.data_initiation_timeout_s)
            if reply.code == 354 and not believed:
                self._wire.abort()
            elif reply.code == 354:
                self._wire.send(b".\r\n", replies=1)
                await self._wire.reply(self._settings.data_termination_timeout_s)
        except LinkError:
            self._wire.abort()

    async def _send_content(self, accepted: int) -> list[Outcome]:
        """The outcome for each recipient whom the peer has accepted."""
        wire, stuffer, timeout_s = self._wire, DotStuffer(), self._settings.write_timeout_s
        # LMTP answers for each of them, SMTP once for all (RFC 2033 section 4.2).
        answers = accepted if self._link.lmtp else 1
        wire.expect(answers)
        held = b""
        async for piece in self._content.chunks(CHUNK_BYTES):
            if held:
                await wire.write(held, timeout_s)
            if wire.has_reply:
                return [await self._cut_short()] * accepted
            held = stuffer.feed(piece)
        if wire.has_reply:
            return [await self._cut_short()] * accepted
        if wire.fault is not None:
            raise wire.fault
        try:
            await wire.write(held + stuffer.end(), timeout_s)
            wire.content_ended()
        except LinkError as fault:
            return self._lost(fault, accepted)
        outcomes: list[Outcome] = []
        for _ in range(answers):
            try:
                outcomes.append(judge(await wire.reply(self._settings.data_termination_timeout_s)))
            except LinkError as fault:
                outcomes += self._lost(fault, answers - len(outcomes))
                break
        else:
            self._link.dirty = False
            if any(outcome.reply is not None and outcome.reply.code == 421 for outcome in outcomes):
                wire.close()
        return outcomes if self._link.lmtp else outcomes * accepted

    def _lost(self, fault: LinkError, recipients: int) -> list[Outcome]:
        self._wire.abort()
        detail = f"{fault.detail} after the end of data; it may have arrived"
        return [Outcome(Status.DEFERRED, fault.reply, detail)] * recipients

    async def _cut_short(self) -> Outcome:
        """The peer answered before the end of data: a refusal counts, anything else is a lie."""
        reply = await self._wire.reply(self._settings.data_termination_timeout_s)
        self._wire.abort()
        if not reply.refuses:
            raise LinkError(f"{self._link.peer} answered {reply.code} before the end of data", reply)
        return judge(reply)
