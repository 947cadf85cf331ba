"""The subject rule (SAV-BLK-02, SMS-CONT-02, SAV-SPM-05)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mailward import ConfigError, Envelope, Finding, Kind, Tag
from mailward_content import ContentSettings


def rule(*patterns: str, more: str = "") -> str:
    listed = ", ".join(f"'{pattern}'" for pattern in patterns)
    return f"block_subjects = true\nsubjects = [{listed}]\n{more}"


def test_sav_blk_02_the_rule_is_off() -> None:
    assert ContentSettings().block_subjects is False


@pytest.mark.parametrize(
    ("pattern", "subject", "hit"),
    [
        # the examples of SMS-CONT-02
        ("*hot*", "shotgun", True),
        ("?hot?", "shots", True),
        ("?hot?", "hot", False),
        ("?hot?", "hots", False),
        ("?hot?", "I like shots a lot", False),
        # SAV-BLK-02: the whole subject, whatever its case
        ("hot", "hot", True),
        ("hot", "HoT", True),
        ("hot", "shot", False),
        ("hot", "hot stuff", False),
        ("hot*", "hot stuff", True),
        ("*stuff", "hot stuff", True),
        # masks: a bracket is itself, a backslash makes wildcards characters
        ("[offer]*", "[offer] today", True),
        ("[offer]*", "o today", False),
        (r"free\*", "free*", True),
        (r"free\*", "free lunch", False),
        (r"why\?", "why?", True),
        (r"why\?", "whys", False),
        # a question mark is never a character beyond ASCII
        ("sh?p", "shop", True),
        ("sh?p", "shöp", False),
        ("sh*p", "shöp", True),
        ("sh?p", "sh\u017fp", False),
        ("schön*", "SCHÖN hier", True),
        # any white space is one blank
        ("two words", "two    words", True),
        ("two words", " two words ", True),
        # what does not show
        ("*lottery*", "the lot\u200btery", True),
        ("*lottery*", "the lot\u00adtery\ufe0f", True),
        ("*lottery*", "the lot\U000e0061tery", True),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_sms_cont_02_what_a_pattern_matches(content: Any, mails: Any, pattern: str, subject: str, hit: bool) -> None:
    assert content(mails.titled(subject), rule(pattern)).action.name == ("drop" if hit else "deliver")


@pytest.mark.parametrize(
    "subject",
    [
        "Re: offer",
        "RE: offer",
        "Fw: offer",
        "FWD: offer",
        "Re: Fw: RE: offer",
        "Re[2]: offer",
        "Re (3): offer",
        "Re:offer",
        "Re : offer",
        "Fwd：offer",
        "offer",
    ],
)
def test_sms_cont_02_answers_and_forwards_of_a_pattern_match_too(content: Any, mails: Any, subject: str) -> None:
    assert content(mails.titled(subject), rule("offer")).action.name == "drop"


@pytest.mark.parametrize("subject", ["Regarding: offer", "AW: offer", "Re offer", "my Re: offer"])
def test_other_words_before_a_subject_are_words(content: Any, mails: Any, subject: str) -> None:
    assert content(mails.titled(subject), rule("offer")).clean


def test_the_words_of_answers_can_be_set(content: Any, mails: Any) -> None:
    german = rule("offer", more='subject_prefixes = ["AW", "WG:"]')
    assert content(mails.titled("AW: WG: offer"), german).action.name == "drop"
    assert content(mails.titled("Re: offer"), german).clean
    assert content(mails.titled("Re: offer"), rule("offer", more="subject_prefixes = []")).clean


def test_a_pattern_may_hold_such_a_word_itself(content: Any, mails: Any) -> None:
    assert content(mails.titled("Re: Re: your loan"), rule("Re: your loan")).action.name == "drop"
    assert content(mails.titled("your loan"), rule("Re: your loan")).clean


def test_a_subject_is_matched_as_it_is_shown(content: Any, mails: Any) -> None:
    encoded = base64.b64encode(b"geheim").decode()
    assert content(mails.titled(f"=?utf-8?B?{encoded}?="), rule("geheim")).action.name == "drop"
    assert content(mails.titled("ge\r\n heim"), rule("ge heim")).action.name == "drop"


def test_every_subject_field_counts(content: Any, mails: Any) -> None:
    settings = rule("offer") + '[disposition]\nambiguous = "deliver"'
    assert content(mails.titled("harmless", "offer"), settings).action.name == "drop"


def test_sms_cont_02_every_matched_pattern_is_listed(content: Any, mails: Any) -> None:
    copy = content(mails.titled("Hot offer"), rule("*cold*", "hot*", "*offer"))
    (finding,) = copy.findings
    assert (finding.rule, finding.name, finding.kind) == ("subject", "hot*", Kind.CONTENT)
    assert finding.detail == "'Hot offer' matches hot*, *offer"


def test_sav_blk_02_forward_names_address_and_subject(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.titled("offer")
    copy = content(
        raw, rule("offer", more='on_subject = { action = "forward", to = "a@b.example", subject = "found" }')
    )
    assert str(copy.action.to) == "a@b.example"
    assert b"Subject: found\r\n" in delivered(raw, copy)
    assert b"offer" not in delivered(raw, copy)


def test_sav_spm_05_the_mark_of_a_spam_filter_is_part_of_the_subject(content: Any, mails: Any) -> None:
    marked = Finding(Kind.SPAM, "antispam", "score", action=Tag(subject="[SPAM]"))
    shadow = Finding(Kind.SPAM, "antispam", "score", action=Tag(subject="[SPAM]"), shadow=True)
    raw = mails.titled("cheap pills")
    for found, action in (((marked,), "drop"), ((shadow,), "deliver"), ((), "deliver")):
        assert content(raw, rule("[SPAM] *"), Envelope(findings=found)).action.name == action
    assert content(mails.titled("plain"), rule("cheap*"), Envelope(findings=(marked,))).action.name == "deliver"


def test_an_empty_list_is_refused(content: Any, mails: Any) -> None:
    with pytest.raises(ConfigError, match="subjects is empty while block_subjects is on"):
        content(mails.plain(b""), "block_subjects = true")


def test_a_thousand_answers_before_a_subject_are_no_work(content: Any, mails: Any) -> None:
    assert content(mails.titled("Re: " * 1000 + "offer"), rule("offer")).action.name == "deliver"
    assert content(mails.titled("Re: " * 1000 + "offer"), rule("*offer")).action.name == "drop"
