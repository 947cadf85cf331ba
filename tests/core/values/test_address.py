"""Addresses of RFC 5321 section 4.1.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import NULL, Address, AddressError


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("a@b", "a", "b"),
        ("John.Doe+tag@Example.COM", "John.Doe+tag", "example.com"),
        ("o'neil/x=y&z@example.com", "o'neil/x=y&z", "example.com"),
        ('"two words"@example.com', '"two words"', "example.com"),
        ('"a\\"b"@example.com', '"a\\"b"', "example.com"),
        ('"a@b"@example.com', '"a@b"', "example.com"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a", "[ipv6:2001:db8::1]"),
        ("bücher@bücher.example", "bücher", "bücher.example"),
        ("a@sub-1.example", "a", "sub-1.example"),
    ],
)
def test_a_mailbox_is_read(text: str, local: str, domain: str) -> None:
    address = Address.parse(text)
    assert (address.local, address.domain) == (local, domain)
    assert str(address) == f"{local}@{domain}"
    assert address.key == f"{local.lower()}@{domain}"


@pytest.mark.parametrize(
    "text",
    [
        *("a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b.", "a@.b", "a@b..c", "a,b@c"),
        *('"a@b', 'a"b"@c', '"a"b@c', "a@[x", "a@b]", "a@b\r\n", "a\n@b", "a\0@b", "a@b/c", "(x)a@b"),
        "a" * 400 + "@b",
    ],
)
def test_what_is_no_mailbox_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(AddressError, match=r"address|label"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('"cfo"@b', "cfo@b"),
        ('"c\\fo"@b', "cfo@b"),
        ('"C.F.O"@b', "c.f.o@b"),
        ('"c\\"o"@b', '"c\\"o"@b'),
        ('"a\\ b"@b', '"a b"@b'),
        ('"a@b"@c', '"a@b"@c'),
        ('""@b', '""@b'),
    ],
)
def test_quotes_that_say_nothing_do_not_make_another_mailbox(text: str, key: str) -> None:
    assert Address.parse(text).key == key
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["a@b\u00fccher.example", "a@xn--bcher-kva.example", "A@B\u00dcCHER.example"])
def test_an_international_domain_is_known_in_every_spelling(text: str) -> None:
    assert {"a@b\u00fccher.example", "a@xn--bcher-kva.example"} <= set(Address.parse(text).keys)


@pytest.mark.parametrize("text", ["a@xn--.example", "a@xn--a.example", "a@" + "\u00fc" * 70 + ".example"])
def test_a_domain_that_idna_does_not_know_is_itself(text: str) -> None:
    assert Address.parse(text).keys[0] == text


@pytest.mark.parametrize("text", ["a\x9b31m@b", '"a\x85b"@c', "a@b\x9bc"])
def test_control_characters_beyond_ascii_are_no_part_of_a_mailbox(text: str) -> None:
    with pytest.raises(AddressError):
        Address.parse(text)


def test_the_null_address_is_the_empty_text() -> None:
    assert Address.parse("") is NULL
    assert NULL.is_null
    assert (str(NULL), NULL.key) == ("", "")
    assert not Address.parse("a@b").is_null


def test_the_case_of_the_domain_does_not_matter_and_that_of_the_local_part_does() -> None:
    assert Address.parse("a@B.example") == Address.parse("a@b.example")
    assert Address.parse("A@b.example") != Address.parse("a@b.example")
    assert Address.parse("A@b.example").key == Address.parse("a@B.example").key


def test_addresses_have_an_order() -> None:
    texts = ["b@a", "a@b", "a@a"]
    assert sorted(map(Address.parse, texts)) == [Address.parse(text) for text in ("a@a", "a@b", "b@a")]


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
    assert not set(str(address)) & set("\r\n\0<> ") or address.local.startswith('"')
