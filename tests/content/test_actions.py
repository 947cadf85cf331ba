"""Every action of the common vocabulary for every kind of rule (specification README, decision 2)."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from mailward import ConfigError, Message

OFFENCE = b"OFFENCE"
MESSAGE_ACTIONS = ("reject", "defer", "drop", "bounce", "hold", "quarantine")


@frozen
class Case:
    """A kind of rule: the message that it hits, and its settings; ``whole`` where the message itself is hit."""

    rule: str
    raw: Any
    settings: str
    whole: bool = False

    def with_action(self, action: str) -> str:
        return self.settings.replace("ACTION", action)


def inside(mails: Any, body: bytes) -> bytes:
    return mails.parts(b"Content-Type: application/x; name=two\r\n\r\n" + body)


CASES = {
    "size": Case(
        "size",
        lambda mails: mails.plain(OFFENCE + b" and more\r\n" * 120_000),
        "block_size = true\nmax_size_mb = 1\non_size = ACTION",
        whole=True,
    ),
    "subject": Case(
        "subject",
        lambda mails: mails.titled("an offence").replace(b"good day", OFFENCE),
        'block_subjects = true\nsubjects = ["*offence*"]\non_subject = ACTION',
        whole=True,
    ),
    "file name": Case(
        "file_name",
        lambda mails: mails.attached("offence.exe", OFFENCE * 9),
        "block_names = true\non_name = ACTION",
    ),
    "file name in an archive": Case(
        "file_name",
        lambda mails: mails.attached("offence.zip", mails.zipped("offence.exe")),
        "block_names = true\non_name = ACTION",
    ),
    "file type": Case(
        "file_type",
        lambda mails: mails.attached("offence.txt", b"MZ" + OFFENCE * 9),
        "block_types = true\non_type = ACTION",
    ),
    "filter": Case(
        "filter",
        lambda mails: mails.parts(mails.file("", OFFENCE * 9, 'Content-Type: audio/mpeg; name="offence.mp3"\r\n')),
        'filter_names = ["*.mp3"]\non_filtered = ACTION',
    ),
    "limit": Case(
        "limit",
        lambda mails: mails.attached("offence.bin", OFFENCE * 900),
        "limits = { max_file_bytes = 1000 }\non_limit = ACTION",
    ),
    "limit of the whole": Case(
        "limit",
        lambda mails: mails.attached("offence.bin", OFFENCE * 900),
        "limits = { max_files_bytes = 1000 }\non_limit = ACTION",
        whole=True,
    ),
    "encrypted container": Case(
        "encrypted",
        lambda mails: mails.attached("offence.zip", mails.locked("a.txt", "b.txt")),
        "on_encrypted = ACTION",
    ),
    "encrypted mail": Case(
        "encrypted",
        lambda mails: mails.parts(
            b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=offence.p7m\r\n\r\n" + OFFENCE
        ),
        "on_encrypted_mail = ACTION",
    ),
    "unprocessable": Case(
        "unopened",
        lambda mails: mails.attached("offence.rar", b"Rar!\x1a\x07\x01\0" + OFFENCE),
        "on_unprocessable = ACTION",
    ),
    "malformed": Case(
        "unclosed",
        lambda mails: mails.parts(
            b"Content-Type: multipart/mixed; boundary=offence\r\n\r\n--offence\r\n\r\n" + OFFENCE + b"\r\n"
        ),
        "on_malformed = ACTION",
    ),
    "custom rule": Case(
        "rule",
        lambda mails: mails.parts(b"Content-Type: text/html\r\n\r\n<p>an offence</p>" + OFFENCE),
        'rules.words = { any = ["an offence"], action = ACTION }',
    ),
    "custom rule on attachments": Case(
        "rule",
        lambda mails: mails.attached("offence.txt", b"an offence " + OFFENCE),
        'rules.words = { all = ["an offence"], look_in = ["attachments"], action = ACTION }',
    ),
    "custom rule on the subject": Case(
        "rule",
        lambda mails: mails.titled("an offence").replace(b"good day", OFFENCE),
        'rules.words = { when = "an offence", look_in = ["subject"], action = ACTION }',
        whole=True,
    ),
}


def contents(raw: bytes) -> bytes:
    """Everything that a reader gets to see."""
    with Message.from_bytes(raw) as message:
        return b"\n".join(part.content for part in message.walk() if part.is_leaf)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def found_by(copy: Any, case: Case) -> list[Any]:
    return [finding for finding in copy.findings if finding.rule == case.rule]


@pytest.mark.parametrize("action", MESSAGE_ACTIONS)
def test_an_action_on_the_message_is_carried_out(content: Any, mails: Any, case: Case, action: str) -> None:
    copy = content(case.raw(mails), case.with_action(f'"{action}"'))
    assert copy.action.name == action
    assert copy.decided_by.plugin == "content"
    assert found_by(copy, case)


def test_forward_goes_to_one_address_with_the_subject_of_the_settings(
    content: Any, mails: Any, delivered: Any, case: Case
) -> None:
    raw = case.raw(mails)
    copy = content(raw, case.with_action('{ action = "forward", to = "lab@example.org", subject = "look" }'))
    assert (copy.action.name, str(copy.action.to)) == ("forward", "lab@example.org")
    after = delivered(raw, copy)
    assert Message.from_bytes(after).subject == "look"
    assert contents(after) == contents(raw)


def test_deliver_records_the_finding_and_changes_nothing(content: Any, mails: Any, case: Case) -> None:
    copy = content(case.raw(mails), case.with_action('"deliver"'))
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert found_by(copy, case)
    assert not copy.clean


def test_tag_marks_the_message_and_delivers_it(content: Any, mails: Any, delivered: Any, case: Case) -> None:
    raw = case.raw(mails)
    action = '{ action = "tag", subject = "[seen]", headers = [["X-Seen", "yes"]] }'
    copy = content(raw, case.with_action(action))
    assert copy.action.name == "deliver"
    after = Message.from_bytes(delivered(raw, copy))
    assert after.subject.startswith("[seen] ")
    assert after.headers.get("x-seen") == "yes"
    assert contents(bytes(after.raw)) == contents(raw)


def test_delete_takes_the_part_out_or_drops_what_is_hit_as_a_whole(
    content: Any, mails: Any, delivered: Any, case: Case
) -> None:
    raw = case.raw(mails)
    copy = content(raw, case.with_action('"delete"'))
    if case.whole:
        assert copy.action.name == "drop"
        return
    assert copy.action.name == "deliver"
    after = delivered(raw, copy)
    assert b"offence" not in after.lower()
    assert b"good day" in contents(after)


def test_placeholder_leaves_a_text_in_place_of_what_was_hit(
    content: Any, mails: Any, delivered: Any, case: Case
) -> None:
    raw = case.raw(mails)
    copy = content(raw, case.with_action('{ action = "placeholder", text = "gone by {{ hostname }}: {{ rule }}" }'))
    assert copy.action.name == "deliver"
    after = contents(delivered(raw, copy))
    assert f"gone by mx.example.org: {case.rule}".encode() in after
    assert OFFENCE not in after
    assert (b"good day" in after) is not case.whole


def test_placeholder_has_a_text_of_its_own_kind(content: Any, mails: Any, delivered: Any, case: Case) -> None:
    raw = case.raw(mails)
    after = contents(delivered(raw, content(raw, case.with_action('"placeholder"'))))
    assert b"removed by mx.example.org" in after
    assert OFFENCE not in after


def test_repair_is_refused_but_for_the_filter(content: Any, mails: Any, case: Case) -> None:
    if case.rule == "filter":
        copy = content(case.raw(mails), case.with_action('"repair"'))
        assert (copy.action.name, copy.splices) == ("deliver", ())
        return
    with pytest.raises(ConfigError, match="repair is for infected parts alone"):
        content(mails.plain(b""), case.with_action('"repair"'))


def test_in_shadow_mode_nothing_is_applied(content: Any, mails: Any, case: Case) -> None:
    copy = content(
        case.raw(mails),
        case.with_action('"drop"') + "\nshadow = true",
        more='[disposition]\nunchecked = "deliver"\nlimit = "deliver"',
    )
    assert (copy.action.name, copy.splices) == ("deliver", ())
    assert any(decision.shadow and decision.action.name == "drop" for decision in copy.moot)
