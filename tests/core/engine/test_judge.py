"""From raw messages to verdicts: every fate, edits as bytes, containers that cannot be checked."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import (
    Action,
    Address,
    Bounce,
    Copy,
    Decision,
    Defer,
    Delete,
    DeletePart,
    Deliver,
    Drop,
    Engine,
    Envelope,
    Finding,
    Forward,
    Hold,
    Kind,
    Member,
    Message,
    Part,
    Placeholder,
    Plugin,
    Recipient,
    Reject,
    Repair,
    ReplaceContent,
    Tag,
    hookimpl,
    setting,
)
from mailward.mime import spliced

Build = Callable[..., Engine]

MAIL = (
    b"From: a@example.com\r\nSubject: two parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
    b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b'--x\r\nContent-Type: application/octet-stream; name="bad.bin"\r\n\r\nbad bytes\r\n--x--\r\n'
)


class Strike(Plugin):
    """Does to parts named bad* what the settings say."""

    @frozen
    class Settings:
        action: Action = setting(Delete(), help="what is done")

    settings: Settings

    @hookimpl
    def scan_part(self, part: Part) -> Iterator[Finding]:
        if part.filename.startswith("bad"):
            yield self.finding("bad", part, name=part.filename, action=self.settings.action)


def judged(built: Engine, raw: bytes = MAIL) -> tuple[Copy, bytes]:
    copy = asyncio.run(built.judge(Envelope(id="m1"), raw)).copies[0]
    return copy, b"".join(spliced(raw, copy.splices))


def test_what_nobody_objects_to_is_delivered_byte_for_byte(engine: Build) -> None:
    copy, after = judged(engine({"strike": Strike}), MAIL.replace(b"bad.bin", b"good.bin"))
    assert (copy.action, copy.clean, copy.decided_by) == (Deliver(), True, None)
    assert after == MAIL.replace(b"bad.bin", b"good.bin")


def test_a_deleted_part_is_gone_and_the_rest_is_as_it_was(engine: Build) -> None:
    copy, after = judged(engine({"strike": Strike}))
    assert copy.action == Deliver()
    assert copy.decided_by is not None
    assert (copy.decided_by.plugin, copy.decided_by.reason) == ("strike", "bad: bad.bin")
    assert b"bad bytes" not in after
    assert after.startswith(MAIL[: MAIL.index(b"hello")])
    assert not copy.clean


def test_a_placeholder_takes_the_place_of_the_part(engine: Build) -> None:
    toml = "[strike]\naction = { action = 'placeholder', text = 'It was bad.' }"
    _, after = judged(engine({"strike": Strike}, toml))
    with Message.from_bytes(after) as message:
        assert [part.text.strip() for part in message.walk() if part.is_leaf] == ["hello", "It was bad."]


def test_a_tag_prefixes_the_subject_and_adds_headers(engine: Build) -> None:
    toml = "[strike]\naction = { action = 'tag', subject = '[bad]', headers = [['X-Bad', 'yes']] }"
    copy, after = judged(engine({"strike": Strike}, toml))
    assert copy.action == Deliver()
    with Message.from_bytes(after) as message:
        assert (message.subject, message.headers.get("x-bad")) == ("[bad] two parts", "yes")


def test_a_forward_names_the_address(engine: Build) -> None:
    toml = "[strike]\naction = { action = 'forward', to = 'guard@example.com', subject = 'caught' }"
    copy, after = judged(engine({"strike": Strike}, toml))
    assert copy.action == Forward(to=Address("guard", "example.com"), subject="caught")
    with Message.from_bytes(after) as message:
        assert message.subject == "caught"


@pytest.mark.parametrize("action", [Reject(), Defer(), Drop(), Bounce(), Hold()], ids=str)
def test_an_action_on_the_message_edits_nothing(engine: Build, action: Action) -> None:
    copy, after = judged(engine({"strike": Strike}, f"[strike]\naction = '{action}'"))
    assert copy.action == action
    assert after == MAIL


def test_of_conflicting_actions_the_highest_wins_and_the_others_are_moot(engine: Build) -> None:
    toml = "[one]\naction = 'hold'\n[two]\naction = 'reject'\n[three]\naction = 'delete'"
    copy, after = judged(engine({"one": Strike, "two": Strike, "three": Strike}, toml))
    assert copy.action == Reject()
    assert copy.decided_by is not None
    assert copy.decided_by.plugin == "two"
    assert [(decision.plugin, str(decision.action)) for decision in copy.moot] == [("one", "hold"), ("three", "delete")]
    assert [finding.plugin for finding in copy.findings] == ["one", "two", "three"]
    assert after == MAIL


def test_an_edit_goes_with_a_hold(engine: Build) -> None:
    copy, after = judged(engine({"one": Strike, "two": Strike}, "[two]\naction = 'hold'"))
    assert copy.action == Hold()
    assert b"bad bytes" not in after


def test_repaired_content_takes_the_place_of_the_bad(engine: Build) -> None:
    class Mend(Plugin):
        @hookimpl
        def disposition(self, message: Message) -> Decision:
            return Decision(Repair(), (ReplaceContent("2", b"good bytes"),), reason="mended")

    copy, after = judged(engine({"mend": Mend}))
    assert copy.action == Deliver()
    with Message.from_bytes(after) as message:
        assert message.part("2").content == b"good bytes"


def test_an_edit_that_cannot_be_carried_out_defers(engine: Build) -> None:
    class Wrong(Plugin):
        @hookimpl
        def disposition(self) -> Decision:
            return Decision(Delete(), (DeletePart("7.7"),), reason="odd")

    copy, after = judged(engine({"wrong": Wrong}))
    assert copy.action == Defer()
    assert copy.splices == ()
    assert (copy.findings[-1].plugin, copy.findings[-1].kind) == ("core", Kind.FAILURE)
    assert after == MAIL


def test_a_file_is_judged_like_bytes(engine: Build, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    verdict = asyncio.run(engine({"strike": Strike}).judge(Envelope(id="m1"), path))
    assert verdict.copies[0] == judged(engine({"strike": Strike}))[0] or verdict.copies[0].splices
    assert verdict.parts == ("", "1", "2")
    assert verdict.id == "m1"


def zipped(*members: tuple[str, bytes], encrypted: bool = False, damaged: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    data = bytearray(file.getvalue())
    if encrypted:
        at = data.index(b"PK\x01\x02")
        data[6] |= 1
        data[at + 8] |= 1
    if damaged:
        data[data.index(b"PK\x01\x02") :] = b"PK\x01\x02"
    return (
        b"MIME-Version: 1.0\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(bytes(data)).replace(b"\n", b"\r\n")
    )


def test_members_of_archives_are_parts_like_others(engine: Build) -> None:
    copy, _ = judged(engine({"strike": Strike}, "[strike]\naction = 'reject'"), zipped(("bad.bin", b"x")))
    assert copy.action == Reject()
    assert [finding.part for finding in copy.findings] == ["1/bad.bin"]


@pytest.mark.parametrize(
    ("raw", "toml", "kind", "action"),
    [
        (zipped(("a.txt", b"x"), encrypted=True), "", Kind.ENCRYPTED, Hold()),
        (zipped(("a.txt", b"x"), damaged=True), "", Kind.UNCHECKED, Hold()),
        (zipped(("a.txt", b"x" * 5000)), "[limits]\nmax_part_bytes = 1000", Kind.LIMIT, Drop()),
        (zipped(*((f"{n}", b"x") for n in range(20))), "[limits]\nmax_parts = 10", Kind.LIMIT, Drop()),
    ],
    ids=["encrypted", "damaged", "too large", "too many"],
)
def test_a_container_that_could_not_be_checked_is_never_clean(
    engine: Build, raw: bytes, toml: str, kind: Kind, action: Action
) -> None:
    copy, _ = judged(engine({"strike": Strike}, toml), raw)
    assert kind in {finding.kind for finding in copy.findings}
    assert copy.action == action
    assert not copy.clean


def test_every_copy_learns_that_a_container_could_not_be_checked(engine: Build) -> None:
    toml = "[policy.p]\nrecipients = '*@p.example'\nstrike.action = 'hold'\n[disposition]\nunchecked = 'reject'"
    built = engine({"strike": Strike}, toml)
    to = tuple(Recipient(Address.parse(text)) for text in ("a@p.example", "b@q.example"))
    verdict = asyncio.run(built.judge(Envelope(recipients=to), zipped(("a.txt", b"x"), encrypted=True)))
    assert [copy.action for copy in verdict.copies] == [Reject(), Reject()]


def test_a_plugin_that_unpacks_is_asked_before_the_built_in_readers(engine: Build) -> None:
    class Opens(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> Iterator[Member | Finding] | None:
            return self._members() if part.detected_type == "application/zip" else None

        def _members(self) -> Iterator[Member | Finding]:
            yield self.finding("opened", "1", kind=Kind.NOTE)
            yield Member("bad.mine", [b"x"])

    copy, _ = judged(engine({"opens": Opens, "strike": Strike}), zipped(("a.txt", b"x")))
    assert [(finding.plugin, finding.part) for finding in copy.findings] == [("opens", "1"), ("strike", "1/bad.mine")]


@pytest.mark.parametrize("wrong", [["text"], 5, RuntimeError("broken")])
def test_an_unpacker_that_fails_is_a_failure_of_its_plugin(engine: Build, wrong: Any) -> None:
    class Opens(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> Any:
            if isinstance(wrong, Exception):
                raise wrong
            return wrong

    copy, _ = judged(engine({"opens": Opens}))
    assert copy.action == Defer()
    assert {(finding.plugin, finding.kind) for finding in copy.findings} == {("opens", Kind.FAILURE)}


def test_the_failure_of_one_unpacker_stays_its_own_when_another_is_asked(engine: Build) -> None:
    class Fails(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> None:
            raise RuntimeError("broken")

    class Passes(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> None:
            """Not one of ours."""

    copy, _ = judged(engine({"fails": Fails, "passes": Passes}), b"Subject: x\r\n\r\nhi\r\n")
    assert [(finding.plugin, finding.kind) for finding in copy.findings] == [("fails", Kind.FAILURE)]
    assert copy.action == Defer()


def test_a_shadow_unpacker_is_not_asked(engine: Build) -> None:
    class Opens(Plugin):
        @hookimpl
        def unpack(self, part: Part) -> list[Member]:
            return [Member("bad.bin", [b"x"])]

    copy, _ = judged(engine({"opens": Opens, "strike": Strike}, "[opens]\nshadow = true"), b"Subject: x\r\n\r\nhi\r\n")
    assert copy.clean


def test_structure_that_clients_read_differently_is_decided_on(engine: Build) -> None:
    raw = MAIL.replace(b"Subject: two parts\r\n", b"Content-Type: text/plain\r\n")
    copy, _ = judged(engine({"strike": Strike}), raw)
    assert Kind.AMBIGUOUS in {finding.kind for finding in copy.findings}
    assert copy.action == Hold()


def test_a_placeholder_of_a_message_without_parts_keeps_its_headers(engine: Build) -> None:
    class All(Plugin):
        @hookimpl
        def scan_part(self, part: Part) -> Finding:
            return self.finding("all", part, action=Placeholder("gone"))

    _, after = judged(engine({"all": All}), b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n")
    assert b"From: a@b.example\r\n" in after
    assert b"hello" not in after
    assert b"gone" in after


def test_two_tags_add_up(engine: Build) -> None:
    class Marks(Plugin):
        @hookimpl
        def scan_message(self) -> Iterator[Finding]:
            yield self.finding("one", kind=Kind.SPAM, action=Tag("[a]"))
            yield self.finding("two", kind=Kind.SPAM, action=Tag("[b]"))

    _, after = judged(engine({"marks": Marks}))
    with Message.from_bytes(after) as message:
        assert "[a]" in message.subject
        assert "[b]" in message.subject
