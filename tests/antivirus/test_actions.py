"""EICAR in every wrapping, and what each action makes of the message (SAV-AV-04, SMS-AV-02, SMS-AV-04)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailward import (
    ConfigError,
    Context,
    Copy,
    Delete,
    DeletePart,
    Envelope,
    Kind,
    Message,
    PartKind,
    Placeholder,
    Repair,
    ReplacePart,
    Scan,
)
from mailward.mime import unpack_zip
from mailward_antivirus import Antivirus, AntivirusSettings

WRAPPINGS = ("base64", "quoted-printable", "7bit", "zip", "zip in zip", "message", "uuencode")
MESSAGE_ACTIONS = ("drop", "reject", "hold", "quarantine", "bounce", "defer")


def contents(raw: bytes) -> list[bytes]:
    """The content of every part that has one, in archives too."""
    with Message.from_bytes(raw) as message:
        for part in message.walk():
            message.add_members(part, unpack_zip(part) or ())
        return [part.content for part in message.walk() if part.kind is not PartKind.MULTIPART]


def infected(copy: Copy) -> Any:
    """The one finding of the plugin."""
    (finding,) = (f for f in copy.findings if f.plugin == "antivirus")
    assert finding.kind is Kind.INFECTED
    assert (finding.rule, finding.name) == ("signatures", "EICAR-Test-File")
    return finding


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_by_default_what_is_infected_is_taken_out_and_the_rest_delivered(
    mails: Any, judge: Any, delivered: Any, wrapping: str
) -> None:
    raw = mails.wrappings()[wrapping]
    copy = judge(raw)
    assert infected(copy).part
    assert copy.action.name == "deliver"
    rest = delivered(raw, copy)
    assert copy.splices
    assert b"good day" in rest
    assert judge(rest).clean


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("action", MESSAGE_ACTIONS)
def test_actions_on_the_message(mails: Any, judge: Any, wrapping: str, action: str) -> None:
    copy = judge(mails.wrappings()[wrapping], f'on_infected = ["{action}"]')
    assert copy.action.name == action
    assert infected(copy) in copy.decided_by.findings


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_deliver_records_the_virus_and_leaves_every_byte(mails: Any, judge: Any, wrapping: str) -> None:
    copy = judge(mails.wrappings()[wrapping], 'on_infected = ["deliver"]')
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert infected(copy)
    assert not copy.clean


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_placeholder_leaves_a_text_in_the_place(mails: Any, judge: Any, delivered: Any, wrapping: str) -> None:
    raw = mails.wrappings()[wrapping]
    copy = judge(raw, 'on_infected = ["repair", "placeholder"]')
    rest = delivered(raw, copy)
    assert copy.action.name == "deliver"
    assert any(b"removed by mx.example.org: it contained a virus (EICAR-Test-File)" in text for text in contents(rest))
    assert judge(rest).clean


def test_forward_names_another_recipient(mails: Any, judge: Any) -> None:
    copy = judge(mails.attached(mails.eicar), 'on_infected = [{ action = "forward", to = "lab@example.org" }]')
    assert str(copy.action.to) == "lab@example.org"


def test_tag_marks_and_delivers(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.attached(mails.eicar)
    copy = judge(raw, 'on_infected = [{ action = "tag", subject = "[VIRUS]" }]')
    assert b"Subject: [VIRUS] hello\r\n" in delivered(raw, copy)


@pytest.mark.parametrize("chain", ['["repair", "delete"]', '["delete"]', '["placeholder"]'])
def test_a_message_that_is_itself_the_virus_is_dropped(mails: Any, judge: Any, chain: str) -> None:
    for body in (mails.eicar, b"\r\n\xef\xbb\xbf" + mails.eicar + b"\r\n\r\n"):
        assert judge(mails.plain(body), f"on_infected = {chain}").action.name == "drop"


@pytest.mark.parametrize("action", [*MESSAGE_ACTIONS, "deliver", "placeholder"])
def test_a_message_that_is_itself_the_virus_is_dropped_or_refused_whatever_is_set(
    mails: Any, judge: Any, action: str
) -> None:
    done = action if action in ("reject", "defer") else "drop"
    assert judge(mails.plain(mails.eicar), f'on_infected = ["{action}"]').action.name == done


def test_what_the_chain_does_not_remove_goes_the_way_of_what_is_left_over(mails: Any, judge: Any) -> None:
    raw = mails.attached(mails.eicar)
    assert judge(raw, 'on_infected = ["repair"]').action.name == "drop"
    assert judge(raw, 'on_infected = ["repair"]\non_unremoved = "hold"').action.name == "hold"
    assert judge(raw, 'on_infected = ["repair"]\non_unremoved = "deliver"').action.name == "deliver"


def test_the_text_of_a_placeholder_is_a_template_and_names_are_no_templates(
    mails: Any, judge: Any, delivered: Any
) -> None:
    raw = mails.attached(mails.eicar, name="{{ hostname }}.com")
    settings = "on_infected = [{ action = 'placeholder', text = 'gone: {{ filename }} {{ virus }} {{ part }}' }]"
    copy = judge(raw, settings)
    (action,) = [f.action for f in copy.findings if f.plugin == "antivirus"]
    assert isinstance(action, Placeholder)
    assert "gone: {{ hostname }}.com EICAR-Test-File 2" in action.text
    assert any(b"gone: {{ hostname }}.com" in text for text in contents(delivered(raw, copy)))
    assert "own text" in str(judge(raw, 'on_infected = ["placeholder"]\nreplacement = "own text"').findings)


def test_each_infected_part_is_taken_out_and_the_clean_ones_keep_every_byte(
    mails: Any, judge: Any, delivered: Any
) -> None:
    clean = mails.file(bytes(range(256)) * 20, "clean.bin")
    raw = mails.parts(mails.text(), mails.file(mails.eicar), clean, mails.file(b"DELE-" + mails.eicar, "b.bin"))
    copy = judge(raw)
    assert [f.part for f in copy.findings if f.plugin == "antivirus"] == ["2", "4"]
    rest = delivered(raw, copy)
    assert clean in rest
    assert judge(rest).clean


def test_shadow_mode_records_and_applies_nothing(mails: Any, judge: Any) -> None:
    copy = judge(mails.attached(b"CURE-" + mails.eicar), "shadow = true")
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert [f.shadow for f in copy.findings if f.plugin == "antivirus"] == [True]


def test_a_clean_message_is_clean(mails: Any, judge: Any) -> None:
    raw = mails.parts(mails.text(), mails.file(mails.zipped(b"harmless", "a.txt"), "a.zip"))
    assert judge(raw).clean
    assert judge(mails.plain(b"I wrote " + mails.eicar)).clean


def test_without_eicar_the_test_file_is_nothing(mails: Any, judge: Any) -> None:
    assert judge(mails.attached(mails.eicar), "eicar = false").clean


@pytest.mark.parametrize(
    ("prefix", "kind", "default", "key"),
    [
        (b"CORR-", Kind.UNCHECKED, "hold", "on_unchecked"),
        (b"ERRO-", Kind.UNCHECKED, "hold", "on_unchecked"),
        (b"SUSP-", Kind.SUSPICIOUS, "hold", "on_suspicious"),
        (b"WARN-", Kind.SUSPICIOUS, "hold", "on_suspicious"),
    ],
)
def test_each_status_has_its_own_setting(
    mails: Any, judge: Any, prefix: bytes, kind: Kind, default: str, key: str
) -> None:
    raw = mails.attached(prefix + mails.eicar)
    copy = judge(raw)
    assert copy.action.name == default
    assert [f.kind for f in copy.findings if f.plugin == "antivirus"] == [kind]
    assert judge(raw, f'{key} = "reject"').action.name == "reject"
    assert judge(raw, f'{key} = "delete"').splices


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7bit"])
def test_what_can_be_repaired_is_delivered_repaired(mails: Any, judge: Any, delivered: Any, encoding: str) -> None:
    raw = mails.attached(b"CURE-" + mails.eicar, encoding=encoding)
    copy = judge(raw)
    assert copy.action.name == "deliver"
    assert infected(copy).action is None
    rest = delivered(raw, copy)
    assert b"CURED" in [content.strip() for content in contents(rest)]
    assert judge(rest).clean


def test_a_body_is_repaired_too_and_so_is_a_uuencoded_file(mails: Any, judge: Any, delivered: Any) -> None:
    for raw in (mails.plain(b"CURE-" + mails.eicar), mails.plain(mails.uuencoded(b"CURE-" + mails.eicar))):
        copy = judge(raw)
        assert copy.action.name == "deliver"
        assert b"CURED" in [content.strip() for content in contents(delivered(raw, copy))]


def test_a_member_of_an_archive_that_can_be_rewritten_is_repaired(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.attached(mails.zipped(b"CURE-" + mails.eicar, "x.com"), "a.zip")
    copy = judge(raw, 'on_infected = ["repair"]')
    assert copy.action.name == "deliver"
    rest = delivered(raw, copy)
    assert judge(rest).clean
    assert b"CURED" in [content.strip() for content in contents(rest)]


def test_repair_can_be_left_out(mails: Any, judge: Any) -> None:
    assert judge(mails.attached(b"CURE-" + mails.eicar), 'on_infected = ["reject"]').action.name == "reject"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("on_infected = []", "is empty; allowed: repair"),
        ('on_infected = ["delete", "repair"]', "repair is never reached, for delete always applies"),
        ('on_unremoved = "delete"', "delete is an action on a part"),
        ('on_encrypted = "repair"', "repair is for infected and suspicious parts alone"),
        ('on_encrypted = { action = "placeholder", text = "{{ x" }', "text of placeholder, line 1"),
        ('clamd = ["localhost"]', "'localhost' is no address of clamd; allowed: unix:/path"),
        ('clamd = ["localhost:0"]', "is no address of clamd"),
        ("clamd_timeout_s = 0", "out of range; allowed: 0.1 to 3600"),
        ("clamd_max_bytes = 1", "out of range; allowed: 1024 to"),
        ('signatures = ["none.hdb"]', "none.hdb cannot be read"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_is_allowed(
    mails: Any, judge: Any, settings: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        judge(mails.plain(b"hello"), settings)
    assert message in str(caught.value)
    assert "antivirus" in str(caught.value)


@pytest.mark.parametrize(
    ("chain", "action", "edits"),
    [
        ((Repair(), Delete()), "delete", (DeletePart("2"),)),
        ((Repair(), Placeholder("gone")), "placeholder", (ReplacePart("2", "gone"),)),
        ((Repair(),), "drop", ()),
    ],
)
def test_a_repair_that_comes_to_nothing_gives_way_to_the_next_action_of_the_chain(
    mails: Any, chain: Any, action: str, edits: Any
) -> None:
    plugin = Antivirus(AntivirusSettings(on_infected=chain), Context(name="antivirus"))
    with Message.from_bytes(mails.attached(mails.eicar)) as message:
        finding = plugin.finding("signatures", "2", kind=Kind.INFECTED, name="EICAR-Test-File")
        (decision,) = asyncio.run(plugin.disposition(message, (finding,), Scan(Envelope(), message)))
    assert (decision.action.name, decision.edits, decision.findings) == (action, edits, (finding,))


@pytest.mark.parametrize("prefix", [b"", b"CORR-", b"ERRO-", b"SUSP-", b"WARN-", b"CURE-", b"DELE-"])
def test_kav_act_06_by_default_nothing_but_what_is_clean_is_delivered(
    mails: Any, judge: Any, delivered: Any, prefix: bytes
) -> None:
    raw = mails.attached(prefix + mails.eicar)
    copy = judge(raw)
    if copy.action.name == "deliver":
        assert judge(delivered(raw, copy)).clean
    else:
        assert copy.action.name == "hold"


POLICY = """
[content]
[policy.b]
recipients = ["*@example.org"]
antivirus.quarantine_path = "q"
antivirus.backup_path = "b"
antivirus.keep_copies = ["all"]
antivirus.block = ["protected"]
antivirus.replacement = "{{ virus }} of group b"
antivirus.on_infected = ["placeholder"]
antivirus.on_suspicious = "delete"
antivirus.on_encrypted = "deliver"
antivirus.on_unchecked = "deliver"
antivirus.on_filtered = "placeholder"
content.include_by_name = ["*.txt"]
content.exclude_by_name = ["b*"]
content.include_by_mime = ["*"]
content.exclude_by_mime = ["text/html"]
content.filtered_text = "filtered for b"
content.on_filtered = "placeholder"
"""


def test_kav_grp_07_what_a_group_could_set_a_policy_can(mails: Any, judge: Any, delivered: Any, tmp_path: Path) -> None:
    files = (mails.file(mails.eicar), mails.file(b"SUSP-" + mails.eicar), mails.file(b"good", "a.txt"))
    raw = mails.parts(mails.text(), *files)
    copy = judge(raw, POLICY, '["content", "antivirus"]')
    assert (copy.policy, copy.action.name) == ("b", "deliver")
    left = delivered(raw, copy)
    assert b"of group b" in left
    assert b"filtered for b" in left
    assert judge(left).clean
    assert [len(list((tmp_path / folder).glob("*.eml"))) for folder in ("q", "b")] == [1, 1]
