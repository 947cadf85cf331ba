"""The hooks, in the order in which a message meets them.

    client: connect → helo (→ authenticate) → mail_from → rcpt_to (→ locality) → content arrives → data
    scan process: parse → unpack and scan_part, part by part, depth first → scan_message → disposition
    gateway: reply and commit → route → deliver
    always: event (observers), start / stop / reload (life cycle), check (`mailward check`)

An implementation takes any subset of the parameters, by name; it may be a plain or an async
function, and where several answers are allowed it may return one, return an iterable, or yield.
Order is the order of the configuration list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailward.hooks.markers import HookInfo, HookKind, Place, hook_info, hookspec
from mailward.hooks.scan import Scan
from mailward.mime import Member, Message, Part
from mailward.values.check import Check
from mailward.values.decision import Decision
from mailward.values.delivery import Delivery, NextHop, Result
from mailward.values.envelope import MessageInfo, Recipient, Sender, Session
from mailward.values.errors import DnsFault, NoRoute
from mailward.values.event import Event
from mailward.values.finding import Finding
from mailward.values.reply import Reply

EnvelopeAnswer = Reply | Finding | Iterable[Reply | Finding] | None


class Specs:
    """The specifications; `docs/hooks.md` is drawn from these docstrings and signatures."""

    @hookspec(HookKind.DECIDE, Place.GATEWAY, (Reply, Finding))
    def connect(self, session: Session) -> EnvelopeAnswer:
        """Judge a connection before the greeting.

        When: a client connected and has been told nothing.
        May return: a Reply with 4xx or 5xx that refuses the connection, findings that travel with
            every message of the session, or None. The first refusal in configuration order wins and
            later plugins are not asked.
        On error: on_failure; defer answers 421 and closes.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.DECIDE, Place.GATEWAY, (Reply, Finding))
    def helo(self, session: Session, name: str) -> EnvelopeAnswer:
        """Judge the name that the client gives in HELO or EHLO.

        When: after each HELO or EHLO, before its reply; ``session.helo`` still holds the previous name.
        May return: a refusing Reply, findings, or None.
        On error: on_failure; defer answers 451.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.GATEWAY, (bool,), many=False)
    def authenticate(self, session: Session, user: str, password: str) -> bool | None:
        """Say whether a user and password are good.

        When: a client logs in (AUTH PLAIN or LOGIN), over TLS unless ``gateway.auth_without_tls``.
            After True ``session.user`` is the user in all later hooks.
        May return: True, False, or None for "not a user of mine". The first answer counts; where no
            plugin answers the listener's ``password_file`` decides. A plugin in shadow mode is heard,
            and its answer not used. The password must not be kept or logged.
        On error: the client is told 454, and nobody is logged in.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.DECIDE, Place.GATEWAY, (Reply, Finding))
    def mail_from(self, session: Session, sender: Sender) -> EnvelopeAnswer:
        """Judge the reverse-path.

        When: after MAIL FROM was read and its syntax and SIZE accepted.
        May return: a refusing Reply, findings, or None.
        On error: on_failure; defer answers 451.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.DECIDE, Place.GATEWAY, (Reply, Finding))
    def rcpt_to(self, session: Session, sender: Sender, recipient: Recipient) -> EnvelopeAnswer:
        """Judge one recipient; the others of the message are not touched by it.

        When: after each RCPT TO whose syntax was accepted.
        May return: a Reply that refuses this recipient, findings, or None.
        On error: on_failure; defer answers 451 for this recipient.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.GATEWAY, (bool,), many=False)
    def locality(self, recipient: Recipient) -> bool | None:
        """Say whether a recipient belongs to the house.

        When: once for each accepted recipient; the answer becomes ``recipient.local``.
        May return: True, False, or None for "not known here". The first answer counts.
        On error: the question counts as not answered, and the failure is reported.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.DECIDE, Place.GATEWAY, (Reply, Finding))
    def data(self, session: Session, message: MessageInfo) -> EnvelopeAnswer:
        """Judge a message that has arrived whole, before its content is opened.

        When: after end of data, before the scan. ``message.head`` is the raw header block,
            ``message.content`` reads all of it, to be copied.
        May return: a Reply that refuses the message, findings, or None.
        On error: on_failure; defer answers 451.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.SCAN, (Member, Finding))
    def unpack(self, part: Part, scan: Scan) -> Iterable[Member | Finding] | None:
        """Open a container.

        When: for each part that has no children but uuencode blocks, before scan_part sees it; the
            built-in readers (zip, BinHex) are asked after all plugins.
        May return: an iterable (best a generator) of Member and Finding, or None where the part is
            no container of yours. The first plugin that does not return None provides. Members are
            pulled one by one while the core enforces the limits; names may be anything. A plugin in
            shadow mode is not asked: the others would see what it opens.
        On error: on_failure; with unchecked the part counts as not opened.
        Deadline: the plugin's timeout_s, over all members.
        Runs in: scan process.
        Since: 0.1
        """

    @hookspec(HookKind.FIND, Place.SCAN, (Finding,))
    def scan_part(self, part: Part, scan: Scan) -> Finding | Iterable[Finding] | None:
        """Look at one part: a body, an attachment, a nested message, a member of a container.

        When: for each part, depth first, parents before children.
        May return: findings, or None. All plugins are asked, and all findings kept.
        On error: on_failure; unchecked leaves a finding of kind unchecked on the part.
        Deadline: the plugin's timeout_s.
        Runs in: scan process.
        Since: 0.1
        """

    @hookspec(HookKind.FIND, Place.SCAN, (Finding,))
    def scan_message(self, message: Message, scan: Scan) -> Finding | Iterable[Finding] | None:
        """Look at the message as a whole.

        When: once, after every part has been looked at; ``scan.findings`` holds what is known.
        May return: findings, or None. All plugins are asked, and all findings kept.
        On error: on_failure.
        Deadline: the plugin's timeout_s.
        Runs in: scan process.
        Since: 0.1
        """

    @hookspec(HookKind.DECIDE, Place.SCAN, (Decision,))
    def disposition(
        self, message: Message, findings: tuple[Finding, ...], scan: Scan
    ) -> Decision | Iterable[Decision] | None:
        """Decide on the whole, once for each policy's copy.

        When: after all findings are in. A finding that carries an action needs no disposition hook.
        May return: decisions, or None. Actions are combined by rank, edits accumulate.
        On error: on_failure; defer makes the verdict a 451.
        Deadline: the plugin's timeout_s.
        Runs in: scan process.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.GATEWAY, (NextHop,), raises=(NoRoute, DnsFault))
    def route(self, recipient: Recipient, message: MessageInfo) -> NextHop | Iterable[NextHop] | None:
        """Say where mail for a recipient goes next.

        When: before each delivery attempt, for each recipient still to be delivered.
        May return: one next hop, several in order of preference, or None where another plugin
            should answer. The first answer counts. Raise `NoRoute` where there is none for good; a
            `DnsFault` may rise: the message is tried again, and the plugin has not failed.
        On error: the message stays queued and is tried again.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.GATEWAY, (Result,))
    def deliver(self, delivery: Delivery) -> Iterable[Result] | None:
        """Hand a message to a next hop.

        When: for each group of recipients with the same next hop, one next hop after the other
            until one could be spoken to.
        May return: one Result for each recipient, or None where this transport is not yours. The
            first answer counts. A recipient without a result counts as deferred. A plugin in shadow
            mode is not asked: it would deliver.
        On error: all recipients count as deferred, and the failure is reported.
        Deadline: none of the core's: an SMTP transaction has its own time-outs.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.OBSERVE, Place.GATEWAY)
    def event(self, event: Event) -> None:
        """Observe what happened.

        When: after the fact, in order, from a bounded backlog; mail never waits for an observer.
        May return: nothing.
        On error: reported in the log; the event goes to the other observers.
        Deadline: the plugin's timeout_s.
        Runs in: gateway.
        Since: 0.1
        """

    @hookspec(HookKind.LIFE, Place.BOTH)
    def start(self) -> None:
        """Begin: open connections, load data.

        When: before the first other hook of this instance, in each process that runs it.
        May return: nothing.
        On error: the program does not start (or does not take the new configuration on).
        Deadline: the plugin's timeout_s.
        Runs in: gateway and scan process; ``context.place`` says which.
        Since: 0.1
        """

    @hookspec(HookKind.LIFE, Place.BOTH)
    def stop(self) -> None:
        """End: close what start opened.

        When: after the last other hook of this instance.
        May return: nothing.
        On error: reported in the log.
        Deadline: the plugin's timeout_s.
        Runs in: gateway and scan process.
        Since: 0.1
        """

    @hookspec(HookKind.LIFE, Place.BOTH)
    def reload(self) -> None:
        """Read again what the settings point at (files, lists), the settings themselves being equal.

        When: the configuration is reloaded and this instance stays because its settings did not change.
        May return: nothing.
        On error: reported in the log; the instance goes on with what it had.
        Deadline: the plugin's timeout_s.
        Runs in: gateway and scan process.
        Since: 0.1
        """

    @hookspec(HookKind.PROVIDE, Place.BOTH, (Check,))
    def check(self) -> Check | Iterable[Check] | None:
        """Say whether what the plugin depends on is there: servers, files, lists.

        When: `mailward check` runs, after start; mail is not involved.
        May return: one Check for each thing looked at, good ones among them, or None. All plugins
            are asked, and all checks shown.
        On error: shown as a failed check.
        Deadline: the plugin's timeout_s.
        Runs in: the process of `mailward check`.
        Since: 0.1
        """


def hooks() -> tuple[HookInfo, ...]:
    """All hooks in the order of `Specs`."""
    return tuple(hook_info(member) for member in vars(Specs).values() if hasattr(member, "mailward_hook"))


def specification(name: str) -> Any:
    """The specification function of the hook ``name``; KeyError where there is none."""
    return vars(Specs)[name]
