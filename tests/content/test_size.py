"""The message size rule (SAV-BLK-01, SMS-CONT-01)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import ConfigError, Context, Envelope, MessageInfo, Recipient, Sender, Session
from mailward.values.address import Address
from mailward_content import ContentFilter, ContentSettings

MIB = 1024 * 1024
TOO_LARGE = "552 5.3.4"


def sized(mails: Any, size: int) -> bytes:
    raw = mails.plain(b"")
    return raw + b"x" * (size - len(raw))


def test_sav_blk_01_the_rule_is_off_and_shows_50() -> None:
    settings = ContentSettings()
    assert (settings.block_size, settings.max_size_mb) == (False, 50)


def test_sms_cont_01_only_what_is_larger_is_refused(content: Any, mails: Any) -> None:
    rule = "block_size = true\nmax_size_mb = 1"
    assert content(sized(mails, MIB), rule).clean
    copy = content(sized(mails, MIB + 1), rule)
    assert (copy.action.name, str(copy.action.reply)[:9]) == ("reject", TOO_LARGE)
    (finding,) = copy.findings
    assert finding.rule == "size"
    assert finding.detail == "the message has 1048577 bytes, more than 1 MB"


@pytest.mark.parametrize("value", ["0", "-1", "2049", "1.5", '"50 MB"', "true"])
def test_sav_blk_01_the_size_is_a_whole_number_of_mb_in_range(content: Any, mails: Any, value: str) -> None:
    with pytest.raises(ConfigError, match="max_size_mb"):
        content(mails.plain(b""), f"max_size_mb = {value}")


def plugin(*, sole: bool = True, **settings: Any) -> ContentFilter:
    return ContentFilter(ContentSettings(block_size=True, max_size_mb=1, **settings), Context(sole=sole))


def announced(size: str | None) -> Sender:
    return Sender(parameters=(("SIZE", size),) if size is not None else ())


@pytest.mark.parametrize(
    ("size", "refused"),
    [("1048576", False), ("1048577", True), ("0", False), ("", False), (None, False), ("9" * 20, True)],
)
def test_sav_blk_01_an_announced_size_is_refused_at_smtp(size: str | None, refused: bool) -> None:
    for reply in (
        plugin().mail_from(Session(), announced(size)),
        plugin(sole=False).rcpt_to(Session(), announced(size), Recipient(Address.parse("a@b.example"))),
    ):
        assert str(reply or "").startswith(TOO_LARGE) is refused


@pytest.mark.parametrize(("size", "refused"), [(MIB, False), (MIB + 1, True)])
def test_what_has_arrived_is_refused_before_it_is_opened(size: int, refused: bool) -> None:
    reply = plugin().data(Session(), MessageInfo("id", Envelope(), size))
    assert (reply is not None) is refused


def test_each_stage_is_asked_only_where_it_speaks_for_all_it_judges() -> None:
    assert plugin().idle == {"rcpt_to"}
    assert plugin(sole=False).idle == {"mail_from", "data"}
    assert ContentFilter().idle == {"mail_from", "rcpt_to", "data", "scan_message"}


def test_another_action_than_reject_waits_for_the_scan(content: Any, mails: Any) -> None:
    from mailward import Hold

    assert plugin(on_size=Hold()).mail_from(Session(), announced("9999999")) is None
    rule = 'block_size = true\nmax_size_mb = 1\non_size = "hold"'
    assert content(sized(mails, MIB + 1), rule).action.name == "hold"


def test_the_reply_is_that_of_the_settings(content: Any, mails: Any) -> None:
    rule = 'block_size = true\nmax_size_mb = 1\non_size = { action = "reject", reply = "554 5.2.3 Use the portal" }'
    assert str(content(sized(mails, MIB + 1), rule).action.reply) == "554 5.2.3 Use the portal"
