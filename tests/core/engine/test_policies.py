"""Policies: first match in file order, one instance for each distinct set of settings, shared results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from attrs import evolve, frozen

from mailward import (
    Address,
    ConfigError,
    Decision,
    Deliver,
    Engine,
    Envelope,
    Finding,
    Hold,
    Kind,
    Plugin,
    PrefixSubject,
    Recipient,
    Reject,
    Scan,
    Sender,
    Tag,
    hookimpl,
    setting,
)

Build = Callable[..., Engine]
MAIL = b"Subject: x\r\n\r\nhello\r\n"
POLICIES = """
[policy.board]
senders = "*@board.example"
mine.level = 9
[policy.finance]
recipients = ["*@finance.example", "cfo@example.com"]
mine.level = 5
[policy.both]
senders = "boss@example.com"
recipients = "*@sales.example"
mine.level = 5
[policy.books]
recipients = "*@b\u00fccher.example"
mine.level = 5
[policy.same]
recipients = "*@same.example"
disposition.unchecked = "reject"
"""


class Mine(Plugin):
    """Counts how often it is asked."""

    @frozen
    class Settings:
        level: int = setting(1, help="a number")

    settings: Settings

    def setup(self) -> None:
        self.asked = 0

    @hookimpl
    def scan_part(self) -> Iterator[Finding]:
        self.asked += 1
        yield self.finding(f"level{self.settings.level}", kind=Kind.NOTE)


class Reads(Mine):
    """Wants to know for whom."""

    @hookimpl
    def scan_part(self, scan: Scan) -> Iterator[Finding]:
        self.asked += 1
        yield self.finding(",".join(str(one.address) for one in scan.envelope.recipients), kind=Kind.NOTE)


def envelope(sender: str, *recipients: str) -> Envelope:
    to = tuple(Recipient(Address.parse(text)) for text in recipients)
    return Envelope(sender=Sender(Address.parse(sender)), recipients=to)


@pytest.mark.parametrize(
    ("sender", "recipient", "name"),
    [
        ("ann@board.example", "x@finance.example", "board"),
        ("ann@example.com", "x@finance.example", "finance"),
        ("ann@example.com", "CFO@Example.COM", "finance"),
        ("ann@example.com", '"cfo"@example.com', "finance"),
        ("ann@example.com", '"C\\FO"@example.com', "finance"),
        ("ann@example.com", "x@xn--bcher-kva.example", "books"),
        ("ann@example.com", "x@b\u00dccher.example", "books"),
        ("ann@example.com", "x@bu\u0308cher.example", "books"),
        ("ann@example.com", "x@sub.finance.example", "default"),
        ("boss@example.com", "x@sales.example", "both"),
        ("boss@example.com", "x@other.example", "default"),
        ("ann@example.com", "x@sales.example", "default"),
        ("", "x@finance.example", "finance"),
        ("", "x@other.example", "default"),
    ],
)
def test_the_first_policy_that_covers_both_sides_is_taken(
    engine: Build, sender: str, recipient: str, name: str
) -> None:
    policies = engine({"mine": Mine}, POLICIES).policies
    assert policies.of(Address.parse(sender), Address.parse(recipient)).name == name


def test_equal_settings_share_an_instance(engine: Build) -> None:
    policies = engine({"mine": Mine}, POLICIES).policies
    by_name = {policy.name: policy.instances[0] for policy in policies.all}
    assert by_name["finance"] is by_name["both"]
    assert by_name["same"] is by_name["default"]
    assert len(policies.instances) == 3
    assert [instance.plugin.settings.level for instance in policies.instances] == [1, 9, 5]


def test_a_message_is_split_by_policy_in_the_order_met(engine: Build) -> None:
    built = engine({"mine": Mine}, POLICIES)
    mail = envelope("ann@example.com", "a@other.example", "b@finance.example", "c@other.example", "d@finance.example")
    verdict = asyncio.run(built.judge(mail, MAIL))
    assert [(copy.policy, [str(one.address) for one in copy.recipients]) for copy in verdict.copies] == [
        ("default", ["a@other.example", "c@other.example"]),
        ("finance", ["b@finance.example", "d@finance.example"]),
    ]
    assert [copy.findings[0].rule for copy in verdict.copies] == ["level1", "level5"]


def test_a_message_without_recipients_has_one_copy_of_the_default(engine: Build) -> None:
    verdict = asyncio.run(engine({"mine": Mine}, POLICIES).judge(Envelope(), MAIL))
    assert [copy.policy for copy in verdict.copies] == ["default"]


def test_a_shared_instance_is_asked_once_for_all_copies(engine: Build) -> None:
    built = engine({"mine": Mine}, POLICIES)
    verdict = asyncio.run(built.judge(envelope("a@example.com", "a@other.example", "b@same.example"), MAIL))
    assert [copy.policy for copy in verdict.copies] == ["default", "same"]
    assert [len(copy.findings) for copy in verdict.copies] == [1, 1]
    assert [instance.plugin.asked for instance in built.policies.instances if instance.plugin.asked] == [1]


def test_what_reads_the_envelope_is_asked_for_each_copy(engine: Build) -> None:
    built = engine({"mine": Reads}, POLICIES)
    verdict = asyncio.run(built.judge(envelope("a@example.com", "a@other.example", "b@same.example"), MAIL))
    assert [[finding.rule for finding in copy.findings] for copy in verdict.copies] == [
        ["a@other.example"],
        ["b@same.example"],
    ]


def test_each_copy_is_decided_for_itself(engine: Build) -> None:
    class Unsure(Plugin):
        @hookimpl
        def scan_message(self) -> Finding:
            return self.finding("odd", kind=Kind.UNCHECKED)

    toml = "[policy.same]\nrecipients = '*@same.example'\ndisposition.unchecked = 'reject'"
    verdict = asyncio.run(
        engine({"unsure": Unsure}, toml).judge(envelope("a@b.example", "a@x.example", "b@same.example"), MAIL)
    )
    assert [(copy.policy, copy.action) for copy in verdict.copies] == [("default", Hold()), ("same", Reject())]


def test_findings_of_connection_and_envelope_travel_into_the_scan(engine: Build) -> None:
    class Later(Plugin):
        @hookimpl
        def scan_message(self, scan: Scan) -> Finding:
            return self.finding("+".join(finding.rule for finding in scan.findings), kind=Kind.NOTE)

    early = Finding(Kind.SPAM, "lists", "listed")
    verdict = asyncio.run(engine({"later": Later}).judge(Envelope(findings=(early,)), MAIL))
    assert [finding.rule for finding in verdict.copies[0].findings] == ["listed", "listed"]


class Sided(Plugin):
    """Tells recipients in the house from others."""

    by_locality = True

    @hookimpl
    def disposition(self, scan: Scan) -> Decision | None:
        return Decision(Tag("[out]"), (PrefixSubject("[out]"),)) if scan.envelope.leaves_the_house else None


def sided(*recipients: tuple[str, bool | None]) -> Envelope:
    return Envelope(recipients=tuple(Recipient(Address.parse(text), local=local) for text, local in recipients))


def test_a_plugin_that_tells_localities_apart_gets_a_copy_for_each(engine: Build) -> None:
    mail = sided(("a@in.example", True), ("b@out.example", False), ("c@in.example", True), ("d@unknown.example", None))
    verdict = asyncio.run(engine({"sided": Sided}).judge(mail, MAIL))
    assert [([str(one.address) for one in copy.recipients], bool(copy.splices)) for copy in verdict.copies] == [
        (["a@in.example", "c@in.example"], False),
        (["b@out.example", "d@unknown.example"], True),
    ]


def test_without_such_a_plugin_a_policy_has_one_copy(engine: Build) -> None:
    mail = sided(("a@in.example", True), ("b@out.example", False))
    assert len(asyncio.run(engine({"mine": Mine}).judge(mail, MAIL)).copies) == 1


def test_what_was_found_before_is_not_mixed_up_between_copies(engine: Build) -> None:
    class Repeats(Plugin):
        asked = 0

        @hookimpl
        def scan_message(self, scan: Scan) -> Finding:
            Repeats.asked += 1
            return self.finding("+".join(finding.rule for finding in scan.findings), kind=Kind.NOTE)

    built = engine({"mine": Mine, "repeats": Repeats}, POLICIES)
    mail = envelope("ann@example.com", "a@other.example", "b@finance.example", "c@same.example")
    verdict = asyncio.run(built.judge(mail, MAIL))
    assert [copy.findings[-1].rule for copy in verdict.copies] == ["level1", "level5", "level1"]
    assert Repeats.asked == 2


@pytest.mark.parametrize(("toml", "sole"), [("", True), (POLICIES, False)])
def test_a_plugin_knows_whether_policies_override_it(engine: Build, toml: str, sole: bool) -> None:
    assert {one.plugin.context.sole for one in engine({"mine": Mine}, toml).policies.instances} == {sole}


def test_plugins_are_asked_in_configuration_order_in_every_copy(engine: Build) -> None:
    class Last(Plugin):
        @hookimpl
        def scan_message(self, scan: Scan) -> Finding:
            return self.finding(f"after {scan.findings[-1].rule}", kind=Kind.NOTE)

    class First(Mine):
        @hookimpl
        def scan_message(self) -> Finding:
            return self.finding(f"first{self.settings.level}", kind=Kind.NOTE)

    built = engine({"mine": First, "last": Last}, POLICIES)
    verdict = asyncio.run(built.judge(envelope("ann@example.com", "a@other.example", "b@finance.example"), MAIL))
    assert [copy.findings[-1].rule for copy in verdict.copies] == ["after first1", "after first5"]


@pytest.mark.parametrize("listed", ['"*@a.example, *@b.example"', '"""\n*@a.example\n*@b.example,\n"""'])
def test_kav_grp_02_masks_may_stand_in_a_text(engine: Build, listed: str) -> None:
    policies = engine({"mine": Mine}, f"[policy.some]\nrecipients = {listed}").policies
    found = [policies.of(Address(), Address.parse(f"x@{domain}.example")).name for domain in "abc"]
    assert found == ["some", "some", "default"]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[policy.none]\nmine.level = 2", "has neither senders nor recipients"),
        ("[policy.none]\ncheck = false", "has neither senders nor recipients"),
        ("[policy.odd]\nrecipients = '*'\ncheck = 'no'", "policy.odd.check"),
        ("[policy.odd]\nrecipients = '*'\nchek = false", "policy.odd.chek"),
    ],
)
def test_kav_grp_02_a_policy_that_says_not_for_whom_or_not_what_is_an_error(
    engine: Build, toml: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        engine({"mine": Mine}, toml)


def test_kav_grp_03_everybody_is_everybody_also_who_has_no_address(engine: Build) -> None:
    policies = engine({"mine": Mine}, "[policy.all]\nsenders = '*@*'\n[policy.never]\nsenders = '*'").policies
    assert policies.of(Address(), Address.parse("x@y.example")).name == "all"
    named = engine({"mine": Mine}, "[policy.some]\nsenders = '*@a.example'").policies
    assert named.of(Address(), Address.parse("x@y.example")).name == "default"


def test_kav_grp_06_what_is_not_checked_is_seen_by_no_plugin_and_never_called_clean(engine: Build) -> None:
    class Severe(Mine):
        @hookimpl
        def disposition(self) -> Decision:
            return Decision(Reject())

    built = engine({"mine": Severe}, "[policy.open]\nrecipients = '*@open.example'\ncheck = false")
    both = asyncio.run(built.judge(envelope("a@b.example", "x@open.example", "y@other.example"), MAIL))
    assert [(copy.policy, copy.action, copy.splices) for copy in both.copies] == [
        ("open", Deliver(), ()),
        ("default", Reject(), ()),
    ]
    assert [(one.kind, one.plugin, one.rule) for one in both.copies[0].findings] == [
        (Kind.FILTERED, "core", "check"),
    ]
    assert not both.copies[0].clean
    asked = built.policies.default.instances[0].plugin.asked
    alone = asyncio.run(built.judge(envelope("a@b.example", "x@open.example"), MAIL))
    assert built.policies.default.instances[0].plugin.asked == asked
    assert alone.copies[0].action == Deliver()


def test_kav_grp_06_what_was_found_before_the_content_holds_without_a_check(engine: Build) -> None:
    built = engine({"mine": Mine}, "[policy.open]\nrecipients = '*@open.example'\ncheck = false")
    mail = evolve(
        envelope("a@b.example", "x@open.example"), findings=(Finding(Kind.SPAM, "lists", "listed", action=Hold()),)
    )
    assert asyncio.run(built.judge(mail, MAIL)).copies[0].action == Hold()


def test_kav_grp_01_each_key_that_a_policy_does_not_set_falls_back_by_itself(engine: Build) -> None:
    class Two(Plugin):
        @frozen
        class Settings:
            level: int = setting(1, help="a number")
            word: str = setting("a", help="a word")

        settings: Settings

    toml = "[two]\nlevel = 2\nword = 'b'\n[policy.one]\nrecipients = '*@one.example'\ntwo.level = 3"
    by_name = {policy.name: policy for policy in engine({"two": Two}, toml).policies.all}
    found = {name: policy.instances[0].plugin.settings for name, policy in by_name.items()}
    assert {name: (one.level, one.word) for name, one in found.items()} == {"default": (2, "b"), "one": (3, "b")}
    assert [by_name[name].check for name in ("default", "one")] == [True, True]
