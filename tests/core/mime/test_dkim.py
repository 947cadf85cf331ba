"""A DKIM signature holds over every edit of what it does not cover (RFC 6376), and breaks over the others."""

from __future__ import annotations

import base64
import subprocess

import dkim
import pytest

from mailward.mime import Message, apply, resolve
from mailward.values.edit import AddHeader, AppendText, ChangeHeader, DeletePart, PrefixSubject, RemoveHeader

from .containers import attached, zipped

RAW = attached(zipped(("a", b"one"), ("b", b"two")), "a.zip").replace(
    b"Subject: hello\r\n",
    b"From: a@example.org\r\nSubject: hello\r\nX-Old: 1\r\nX-Spam: no\r\nReply-To: b@example.org\r\n",
)


@pytest.fixture(scope="module")
def keys() -> tuple[bytes, bytes]:
    """A private key and the record that publishes it."""
    made = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True).stdout
    answer = subprocess.run(
        ["openssl", "rsa", "-pubout", "-outform", "DER"], input=made, capture_output=True, check=True
    )
    return made, b"v=DKIM1; k=rsa; p=" + base64.b64encode(answer.stdout)


@pytest.fixture(scope="module", params=[(b"simple", b"simple"), (b"relaxed", b"relaxed")])
def signed(request, keys) -> bytes:
    headers = [b"from", b"subject", b"mime-version", b"content-type"]
    return dkim.sign(RAW, b"s", b"example.org", keys[0], canonicalize=request.param, include_headers=headers) + RAW


def verifies(raw: bytes, keys: tuple[bytes, bytes]) -> bool:
    return dkim.verify(raw, dnsfunc=lambda *_, **__: keys[1])


@pytest.mark.parametrize(
    "edits",
    [
        [],
        [AddHeader("X-Scanned", "caf\u00e9 " * 40)],
        [RemoveHeader("X-Old"), RemoveHeader("reply-to")],
        [ChangeHeader("X-Spam", "yes"), ChangeHeader("X-New", "y")],
        [ChangeHeader("Reply-To", "c@example.org"), AddHeader("X", "y"), RemoveHeader("X-Spam")],
    ],
)
def test_it_holds_where_nothing_signed_is_touched(signed, keys, edits):
    assert verifies(apply(signed, resolve(Message.from_bytes(signed), edits)), keys)


@pytest.mark.parametrize("edit", [PrefixSubject("[X]"), DeletePart("2"), AppendText("x"), ChangeHeader("from", "b@x")])
def test_it_breaks_where_something_signed_is(signed, keys, edit):
    assert not verifies(apply(signed, resolve(Message.from_bytes(signed), [edit])), keys)
