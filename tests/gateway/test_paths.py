"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.gateway.paths import MAIL_PARAMETERS, RCPT_PARAMETERS, Path, parse_path
from mailward.values.address import NULL, Address
from mailward.values.reply import Reply


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<>", NULL),
        ("FROM:<a@b.example>", Address("a", "b.example")),
        ("from: <A@B.Example>", Address("A", "b.example")),
        ("FROM:<a@[192.0.2.1]>", Address("a", "[192.0.2.1]")),
        ("FROM:<a@[IPv6:2001:db8::1]>", Address("a", "[ipv6:2001:db8::1]")),
        ('FROM:<"a b"@b.example>', Address('"a b"', "b.example")),
        ('FROM:<"a>b"@b.example>', Address('"a>b"', "b.example")),
        ("FROM:<@x.example,@y.example:a@b.example>", Address("a", "b.example")),
        ("FROM:<Postmaster>", Address("postmaster", "")),
        ("FROM:<grün@b.example>", Address("grün", "b.example")),
    ],
)
def test_an_address_is_read(argument: str, address: Address) -> None:
    path = parse_path(argument, MAIL_PARAMETERS)
    assert isinstance(path, Path)
    assert path.address == address


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("FROM:", 501),
        ("FROM:a@b.example", 501),
        ("FROM:<a@b.example", 501),
        ("FROM:<a@b.example>x", 501),
        ("FROM:<<a@b.example>>", 501),
        ("FROM:<@x.example>", 501),
        ("FROM:<a b@c.example>", 553),
        ("FROM:<a>", 553),
        ("FROM:<@b.example:>", 501),
        ("FROM:<a@b..example>", 553),
        ("FROM:<a@-;b.example>", 553),
        ("FROM:<a@b.example> SIZE=", 501),
        ("FROM:<a@b.example> SIZE=1 SIZE=2", 501),
        ("FROM:<a@b.example> =1", 501),
        ("FROM:<a@b.example> FOO", 555),
        ("FROM:<a@b.example> NOTIFY=NEVER", 555),
        ("FROM:<a@b.example> RET=SOME", 501),
        ("FROM:<a@b.example> ENVID=" + "x" * 101, 501),
        ("FROM:<a@b.example> ENVID=a+2", 501),
        ("FROM:<a@b.example> SMTPUTF8=1", 501),
    ],
)
def test_what_is_no_path_is_refused(argument: str, code: int) -> None:
    reply = parse_path(argument, MAIL_PARAMETERS)
    assert isinstance(reply, Reply)
    assert reply.code == code


def test_parameters_are_kept_as_they_were_sent() -> None:
    path = parse_path("FROM:<a@b.example> size=100  BODY=8BITMIME RET=hdrs ENVID=QQ+2B1 SMTPUTF8", MAIL_PARAMETERS)
    assert isinstance(path, Path)
    assert path.parameters == (
        ("SIZE", "100"),
        ("BODY", "8BITMIME"),
        ("RET", "hdrs"),
        ("ENVID", "QQ+2B1"),
        ("SMTPUTF8", ""),
    )
    recipient = parse_path("TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.example", RCPT_PARAMETERS)
    assert isinstance(recipient, Path)
    assert recipient.parameters == (("NOTIFY", "SUCCESS,DELAY"), ("ORCPT", "rfc822;a+2Bb@c.example"))


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("rfc822;a+2Bb@c.example", True),
        ("utf-8;grün@c.example", True),
        ("utf-8;gr\\x{FC}n@c.example", True),
        ("rfc822;grün@c.example", False),
        ("rfc822;a+b@c.example", False),
        ("rfc822", False),
        ("x400;" + "y" * 600, False),
    ],
)
def test_the_original_recipient_is_checked(value: str, good: bool) -> None:
    assert isinstance(parse_path(f"TO:<a@b.example> ORCPT={value}", RCPT_PARAMETERS), Path) is good


@given(st.text(max_size=60))
def test_any_text_gives_a_path_or_a_refusal(text: str) -> None:
    for argument in (text, f"FROM:{text}", f"FROM:<{text}>", f"FROM:<a@b.example> {text}"):
        answer = parse_path(argument, MAIL_PARAMETERS)
        assert isinstance(answer, Path) or 500 <= answer.code < 600


def test_a_source_route_is_told_apart_from_the_address() -> None:
    path = parse_path("TO:<@x.example,@y.example:a@b.example> NOTIFY=NEVER", RCPT_PARAMETERS)
    assert path == Path(Address("a", "b.example"), (("NOTIFY", "NEVER"),), "@x.example,@y.example")
