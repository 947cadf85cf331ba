"""Custom content rules (SMS-CONT-06, SMS-RULE)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import ConfigError, Deliver, Envelope, Kind, Message, Scan, Template
from mailward_content.custom import CustomRules, RuleSettings

BODY = b"FREE for the winner"


def rule(**fields: Any) -> str:
    written = ", ".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
    return f"rules.found = {{ {written} }}\n"


def names(copy: Any) -> list[str]:
    assert all((one.rule, one.kind) == ("rule", Kind.CONTENT) for one in copy.findings)
    return [one.name for one in copy.findings]


@pytest.mark.parametrize(
    ("fields", "body", "hit"),
    [
        # the examples of SMS-RULE
        ({"when": "ALL free,winner NONE invoice"}, BODY, True),
        ({"when": "ALL free,winner NONE invoice"}, BODY + b"; invoice", False),
        ({"when": "ANY v?agra,cheap pills"}, b"buy Viagra", True),
        ({"when": "ANY v?agra,cheap pills"}, b"cheap\r\npills", True),
        ({"when": "ANY v?agra,cheap pills"}, b"vgra and pills", False),
        ({"when": r"ALL 100\*"}, b"100* free", True),
        ({"when": r"ALL 100\*"}, b"100 percent", False),
        # the same as lists
        ({"all": ["free", "winner"], "none": ["invoice"]}, BODY, True),
        ({"all": ["free, winner"], "none": ["invoice"]}, BODY + b" invoice", False),
        ({"all": ["free", "winner"]}, b"FREE for all", False),
        ({"any": ["free", "winner"]}, b"FREE for all", True),
        ({"any": ["free", "winner"], "none": ["all", "nobody"]}, b"FREE for all", False),
        ({"any": [r"regex:\bwin(ner|s)\b"]}, BODY, True),
        ({"any": [r"regex:\bwin(ner|s)\b"]}, b"window", False),
        ({"any": ["Free"], "case_sensitive": True}, BODY, False),
        ({"any": ["FREE"], "case_sensitive": True}, BODY, True),
        ({"any": ["free"], "enabled": False}, BODY, False),
    ],
)
def test_sms_rule_06_a_rule_is_violated_or_not(
    content: Any, mails: Any, fields: dict[str, Any], body: bytes, hit: bool
) -> None:
    assert names(content(mails.plain(body), rule(**fields))) == (["found"] if hit else [])


def test_sms_cont_06_a_violated_rule_drops_unless_it_says_otherwise(content: Any, mails: Any) -> None:
    raw = mails.plain(BODY)
    assert content(raw, rule(any=["free"])).action.name == "drop"
    assert content(raw, rule(any=["free"]) + 'on_rule = "hold"').action.name == "hold"
    assert content(raw, rule(any=["free"], action="deliver") + 'on_rule = "hold"').action.name == "deliver"
    forward = content(raw, rule(any=["free"]) + 'on_rule = { action = "forward", to = "a@b.example" }')
    assert str(forward.action.to) == "a@b.example"


def test_sms_cont_06_the_switch_turns_all_rules_off(content: Any, mails: Any) -> None:
    assert content(mails.plain(BODY), rule(any=["free"]) + "scan_text = false").clean


def test_sms_rule_05_body_alone_unless_said_otherwise(content: Any, mails: Any) -> None:
    titled = mails.titled("free")
    attached = mails.attached("a.txt", b"free")
    for raw in (titled, attached):
        assert content(raw, rule(any=["free"])).clean
    assert names(content(titled, rule(any=["free"], look_in=["subject"]))) == ["found"]
    assert names(content(titled, rule(any=["subject: free"], look_in=["headers"]))) == ["found"]
    assert names(content(attached, rule(any=["free"], look_in=["attachments"]))) == ["found"]
    linked = mails.html('<a href="http://free.example/">here</a>')
    assert content(linked, rule(any=["free.example"])).clean
    assert names(content(linked, rule(any=["free.example"], look_in=["markup"]))) == ["found"]


def test_places_are_taken_together(content: Any, mails: Any) -> None:
    raw = mails.titled("free").replace(b"good day", b"winner")
    assert names(content(raw, rule(all=["free", "winner"], look_in=["subject", "body"]))) == ["found"]
    assert content(raw, rule(all=["free", "winner"])).clean
    vetoed = rule(all=["winner"], none=["free"], look_in=["subject", "body"])
    assert content(raw, vetoed).clean


def test_terms_are_found_in_members_of_archives(content: Any, mails: Any) -> None:
    raw = mails.attached("a.zip", mails.zipped("note.txt", content=b"payroll"))
    copy = content(raw, rule(any=["payroll"], look_in=["attachments"]))
    (finding,) = copy.findings
    assert (finding.part, finding.detail) == ("2", "'payroll' in attachments 2/note.txt")


def test_the_finding_tells_what_was_found_where(content: Any, mails: Any) -> None:
    copy = content(mails.plain(BODY), rule(when="ALL winner, fr?e NONE invoice"))
    (finding,) = copy.findings
    assert (finding.part, finding.name) == ("1", "found")
    assert finding.detail == "'winner' in body 1, 'fr?e' in body 1"


def test_actions_on_parts_reach_every_part_with_a_term(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.parts(
        mails.file("one.txt", b"secret one"), mails.file("two.txt", b"nothing"), mails.file("three.txt", b"SECRET")
    )
    copy = content(raw, rule(any=["secret"], look_in=["attachments", "subject"], action="delete"))
    assert [finding.part for finding in copy.findings] == ["2", "4"]
    after = delivered(raw, copy)
    assert [name in after for name in (b"one.txt", b"two.txt", b"three.txt")] == [False, True, False]


def test_a_hidden_word_is_found(content: Any, mails: Any) -> None:
    for markup in ("v<i>iag</i>ra", "v<!-- -->iagra", "&#118;iagra", "v\u200biagra"):
        assert names(content(mails.html(markup), rule(any=["viagra"]))) == ["found"]


def test_rules_are_found_in_the_order_of_the_settings(content: Any, mails: Any) -> None:
    settings = "\n".join(f'rules.r{number} = {{ any = ["{word}"] }}' for number, word in enumerate(("winner", "free")))
    settings += '\nrules.r2 = { any = ["hello"], look_in = ["subject"] }\nrules.r3 = { any = ["for the"] }'
    assert names(content(mails.plain(BODY), settings)) == ["r0", "r1", "r2", "r3"]


def test_a_policy_turns_rules_off_by_name(copies: Any, mails: Any) -> None:
    from mailward import Address, Envelope, Recipient

    to = tuple(Recipient(Address.parse(text)) for text in ("a@x.example", "b@sales.example"))
    policy = '[policy.sales]\nrecipients = ["*@sales.example"]\ncontent.rules_off = ["found"]'
    first, second = copies(mails.plain(BODY), rule(any=["free"]), Envelope(recipients=to), more=policy)
    assert (first.action.name, second.action.name) == ("drop", "deliver")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (rule(all=["a"], any=["b"]), "AND and OR may not be mixed"),
        (rule(none=["a"]), "has no term that must occur"),
        (rule(), "has no term that must occur"),
        (rule(when="a", all=["b"]), "write one of them"),
        (rule(when="a", none=["b"]), "write one of them"),
        (rule(when="a OR b AND c"), "may not be mixed"),
        (rule(any=["*"]), "matches every text"),
        (rule(any=["a,,b"]), "matches every text"),
        (rule(any=["regex:("]), "is not a regular expression of RE2"),
        (rule(any=["a"], look_in=[]), "look_in is empty"),
        (rule(any=["a"], look_in=["bodies"]), "unknown; allowed: body, subject, headers, attachments, markup"),
        (rule(any=["a"], action="repair"), "content.rules.found.action = 'repair': repair is for infected parts alone"),
        (rule(any=["a"]) + 'rules_off = ["lost"]', "rules_off names 'lost', which is no rule; allowed: found"),
        (rule(any=["a", "b", "c"]) + "max_terms = 2", "rules.found has 3 terms; allowed: max_terms = 2"),
        (
            rule(any=["a"]) + 'rules.more = { any = ["b"] }\nmax_rules = 1',
            "2 rules are enabled; allowed: max_rules = 1",
        ),
        ("max_rules = 0", "out of range"),
        ("max_terms = 0", "out of range"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(content: Any, mails: Any, settings: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        content(mails.plain(b""), settings)
    assert problem in str(caught.value)


def test_sms_rule_04_the_limits_are_50_terms_and_100_rules_and_can_be_set(content: Any, mails: Any) -> None:
    terms = [f"term{number:03}" for number in range(51)]
    with pytest.raises(ConfigError, match="51 terms; allowed: max_terms = 50"):
        content(mails.plain(b""), rule(any=terms))
    assert names(content(mails.plain(b"term050"), rule(any=terms) + "max_terms = 51")) == ["found"]
    many = "\n".join(f'rules.r{number} = {{ any = ["{number}x"] }}' for number in range(101))
    with pytest.raises(ConfigError, match="101 rules are enabled; allowed: max_rules = 100"):
        content(mails.plain(b""), many)
    assert names(content(mails.plain(b"100x"), many + "\nmax_rules = 101")) == ["r0", "r100"]


def test_rules_that_are_off_do_not_count(content: Any, mails: Any) -> None:
    many = "\n".join(
        f'rules.r{number} = {{ any = ["{number}x"], enabled = {str(number < 100).lower()} }}' for number in range(200)
    )
    assert content(mails.plain(b"nothing"), many).clean


def test_what_no_rule_has_looked_at_is_not_called_clean(content: Any, mails: Any) -> None:
    raw = mails.parts(mails.file("a.txt", b"x" * 70_000), mails.file("b.txt", b"secret"))
    looked = rule(any=["secret"], look_in=["attachments"])
    copy = content(raw, looked + 'max_text_bytes = "64 KB"')
    assert [(one.kind, one.rule, one.name, one.part) for one in copy.findings] == [
        (Kind.UNCHECKED, "rule", "max_text_bytes", "2")
    ]
    assert copy.action.name == "hold"
    assert content(raw, looked + 'max_text_bytes = "64 KB"\non_unprocessable = "deliver"').action.name == "deliver"
    assert names(content(raw, looked)) == ["found"]
    body = rule(any=["secret"])  # attachments are no matter of this one
    assert content(raw, body + 'max_text_bytes = "64 KB"').clean


WORDS = ("free", "winner", "invoice", "plan", "pr?ze", "w*r", "FREE")
TERMS = st.lists(st.sampled_from(WORDS), max_size=3, unique=True).map(tuple)


@given(
    st.lists(st.tuples(st.booleans(), TERMS, TERMS), max_size=8),
    st.lists(st.sampled_from(("free", "Winner", "invoice", "plans", "prize", "wear")), max_size=6),
)
def test_all_rules_together_find_what_each_finds_by_itself(
    rules: list[tuple[bool, tuple[str, ...], tuple[str, ...]]], body: list[str]
) -> None:
    made = {
        f"r{number}": RuleSettings(none=none, **{"all" if every else "any": positive})
        for number, (every, positive, none) in enumerate(rules)
        if positive
    }
    text = " ".join(body)

    def occurs(term: str) -> bool:
        return re.search(term.replace("?", ".").replace("*", ".*"), text, re.IGNORECASE) is not None

    expected = [
        name
        for name, rule in made.items()
        if (all(map(occurs, rule.all)) if rule.all else any(map(occurs, rule.any))) and not any(map(occurs, rule.none))
    ]
    compiled = CustomRules(made, Deliver(), Template(""))
    with Message.from_bytes(b"Subject: x\r\n\r\n" + text.encode()) as message:
        assert [hit.name for hit in compiled.look(message, Scan(Envelope(), message))] == expected
