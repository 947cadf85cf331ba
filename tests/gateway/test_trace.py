"""The trace header."""

from __future__ import annotations

import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from mailward.gateway.trace import received
from mailward.values.address import Address
from mailward.values.envelope import Envelope, Recipient, Session


def envelope(helo: str = "client.example", ip: str = "192.0.2.1", *to: str) -> Envelope:
    recipients = tuple(Recipient(Address.parse(one)) for one in to)
    return Envelope(
        Session(client_ip=ip, helo=helo, protocol="ESMTP"), recipients=recipients, id="abc", received_at=0.0
    )


def test_it_names_client_server_protocol_id_and_time() -> None:
    assert received(envelope("client.example", "192.0.2.1", "a@b.example"), "mx.example.test") == (
        b"Received: from client.example ([192.0.2.1])\r\n"
        b"\tby mx.example.test (Mailward) with ESMTP id abc\r\n"
        b"\tfor <a@b.example>;\r\n"
        b"\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
    )


def test_it_names_no_recipient_where_there_are_several() -> None:
    assert b"b.example" not in received(envelope("client.example", "192.0.2.1", "a@b.example", "c@b.example"), "mx")


def test_it_names_the_host_of_the_client_and_the_cipher_where_they_are_known() -> None:
    session = Session(
        client_ip="192.0.2.1",
        client_name="out.example",
        helo="client.example",
        protocol="ESMTPS",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    )
    field = received(Envelope(session, id="abc", received_at=0.0), "mx.example.test")
    assert field.startswith(
        b"Received: from client.example (out.example [192.0.2.1])\r\n"
        b"\tby mx.example.test (Mailward) with ESMTPS id abc\r\n"
        b"\ttls TLS_AES_256_GCM_SHA384;\r\n"
    )


def test_an_ipv6_client_is_named_as_the_standard_wants() -> None:
    assert b"([IPv6:2001:db8::1])" in received(envelope(ip="2001:db8::1"), "mx")


@given(st.text(max_size=300))
def test_no_name_that_a_client_gives_breaks_out_of_the_field(helo: str) -> None:
    field = received(envelope(helo), "mx.example.test")
    message = email.message_from_bytes(field + b"\r\nbody\r\n", policy=email.policy.compat32)
    assert message.keys() == ["Received"]
    assert all(len(line) < 400 for line in field.split(b"\r\n"))
    assert field.isascii()
