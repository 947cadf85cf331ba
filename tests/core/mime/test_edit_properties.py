"""Edits of any message whatever: splices in order, the rest byte for byte, a tree without new defects."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import EditError, Message, apply, resolve
from mailward.mime.encoded import quoted_offset, trimmed
from mailward.values.edit import AppendText, ChangeHeader, DeletePart, PrefixSubject, ReplaceContent, ReplacePart

from .test_mime_properties import SOUP, defects_of, mail, read_everything

TEXTS = st.sampled_from(["end", "-- \ncaf\u00e9", "--b\n--c--\nbegin 644 x", "\u65e5" * 400, "x" * 1200])


def any_edit(paths):
    path = st.sampled_from(paths)
    return st.one_of(
        st.builds(AppendText, TEXTS, st.sampled_from(["", "<hr>caf\u00e9"])),
        st.builds(ChangeHeader, st.sampled_from(["Subject", "X-One", "from", "Z"]), st.text(max_size=60)),
        st.builds(DeletePart, path),
        st.builds(ReplacePart, path, TEXTS),
        st.builds(ReplaceContent, path, st.binary(max_size=100)),
        st.builds(PrefixSubject, st.just("[A]")),
    )


@given(st.data(), st.binary(max_size=300) | SOUP)
@settings(max_examples=300, deadline=None)
def test_edits_of_arbitrary_bytes_never_overlap(data, raw):
    message = Message.from_bytes(raw)
    edits = data.draw(st.lists(any_edit([part.path for part in message.walk()]), min_size=1, max_size=4))
    try:
        splices = resolve(message, edits)
    except EditError:
        return
    at = 0
    for splice in splices:
        assert at <= splice.start <= splice.end <= message.size
        at = splice.end
    read_everything(Message.from_bytes(apply(raw, splices)))


@given(st.data(), mail())
@settings(max_examples=300, deadline=None)
def test_edits_of_sound_messages_leave_no_new_defects(data, raw):
    message = Message.from_bytes(raw)
    before = defects_of(message)
    edits = data.draw(st.lists(any_edit([part.path for part in message.walk()]), min_size=1, max_size=4))
    try:
        changed = apply(raw, resolve(message, edits))
    except EditError:
        return
    assert defects_of(Message.from_bytes(changed)) <= before


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
