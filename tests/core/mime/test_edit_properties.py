"""Pieces of edits: disclaimers in any message, what differs of two bodies, places in quoted-printable."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import Message, apply, resolve
from mailward.mime.encoded import quoted_offset, trimmed
from mailward.values.edit import AppendText

from .test_mime_properties import TEXTS, mail


@given(mail(), TEXTS)
@settings(max_examples=200, deadline=None)
def test_a_disclaimer_keeps_every_other_part(raw, text):
    message = Message.from_bytes(raw)
    after = Message.from_bytes(apply(raw, resolve(message, [AppendText(text)])))
    rest = [part.content for part in after.walk() if part.is_leaf]
    for part in message.walk():
        if part.is_leaf and part.declared_type not in ("text/plain", "text/html"):
            rest.remove(part.content)


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=100), st.binary(max_size=100))
def test_what_differs_is_found(one, other, head, tail):
    old, new = head + one + tail, head + other + tail
    start, end, data = trimmed(7, memoryview(old), new)
    assert old[: start - 7] + data + old[end - 7 :] == new
    assert start - 7 >= len(head)
    assert len(old) - (end - 7) >= min(len(tail), len(old) - (start - 7), len(new) - (start - 7))


@given(st.lists(st.sampled_from([b"=41", b"=\n", b"=\r\n", b"a", b"\n", b"\r\n", b" ", b"=4", b"="]), max_size=30))
def test_a_place_in_quoted_printable_is_found_in_its_bytes(pieces):
    raw = b"".join(pieces)
    part = Message.from_bytes(b"Content-Transfer-Encoding: quoted-printable\n\n" + raw).root
    for at in range(len(part.content) + 1):
        where = quoted_offset(raw, at)
        assert where is None or 0 <= where <= len(raw)
