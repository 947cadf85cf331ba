"""What peers say of their clients: PROXY headers, XCLIENT and XFORWARD attributes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Session
from mailward.gateway.identity import (
    XCLIENT_NAMES,
    BadHeader,
    Peer,
    plain_address,
    read_attributes,
    read_proxy,
    with_xclient,
)

PEER = Peer("127.0.0.1", 1)


def read(data: bytes) -> tuple[Peer, bytes]:
    async def go() -> tuple[Peer, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_proxy(reader, PEER), await reader.read()

    return asyncio.run(go())


def test_nothing_behind_the_header_is_read() -> None:
    assert read(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\nEHLO x\r\n") == (Peer("192.0.2.7", 4711), b"EHLO x\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25",
        b"PROXY TCP4 192.0.2.300 127.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 471100 25\r\n",
        b"PROXY TCP6 192.0.2.7 ::1 4711 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x02ab",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadHeader):
        read(data)


@given(
    st.binary(max_size=150), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"])
)
def test_any_bytes_are_a_header_or_refused(data: bytes, start: bytes) -> None:
    try:
        peer, _ = read(start + data)
    except BadHeader:
        return
    assert peer == PEER or plain_address(peer.ip) == peer.ip


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("nowhere", ""),
        ("", ""),
    ],
)
def test_addresses_are_written_in_one_way(text: str, plain: str) -> None:
    assert plain_address(text) == plain


@given(st.text(max_size=80))
def test_no_attribute_breaks_out_of_its_field(text: str) -> None:
    for argument in (text, f"NAME={text}", f"LOGIN={text} ADDR=192.0.2.1"):
        said = read_attributes(argument, XCLIENT_NAMES)
        session = with_xclient(Session(), said) if said is not None else None
        if session is not None:
            assert all(" " <= char != "\x7f" for char in session.client_name + session.user + session.helo)
