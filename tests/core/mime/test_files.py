"""Messages from files: read when small, mapped when large."""

import base64
import subprocess
import sys

import pytest

from mailward.mime import Limits, Message, apply, resolve
from mailward.values.edit import AddHeader, DeletePart

DATA = bytes(range(256)) * 4000
MAIL = (
    b"Subject: big\r\nContent-Type: multipart/mixed; boundary=0123456789\r\n\r\n--0123456789\r\n\r\nhello\r\n"
    b"--0123456789\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(DATA).replace(b"\n", b"\r\n")
    + b"--0123456789\r\nContent-Type: text/plain\r\n\r\n"
    + b"line\r\n" * 600_000
    + b"\r\n--0123456789--\r\n"
)


@pytest.mark.parametrize("before", [0, 1, 4095, 4096, 5000])
def test_a_mapped_slice_of_a_file_is_like_its_bytes(tmp_path, before):
    path = tmp_path / "mail"
    path.write_bytes(b"\nA: b\r\n"[:before].ljust(before, b"x") + MAIL + b"tail\r\n--0123456789--")
    end = before + len(MAIL)
    with Message.from_file(path, start=before, end=end) as mapped:
        whole = Message.from_bytes(MAIL)
        assert not isinstance(mapped.raw, bytes)
        assert mapped.size == len(MAIL)
        assert mapped.raw == MAIL
        assert list(mapped.spans()) == list(whole.spans())
        for part, same in zip(mapped.walk(), whole.walk(), strict=True):
            assert (part.path, part.span, part.body_span) == (same.path, same.span, same.body_span)
            assert part.content == same.content
            assert part.digest("sha256") == same.digest("sha256")
        assert mapped.defects == whole.defects == []
        edits = [AddHeader("X", "y"), DeletePart("2")]
        assert apply(mapped.raw, resolve(mapped, edits)) == apply(MAIL, resolve(whole, edits))


def test_small_files_are_read(tmp_path):
    path = tmp_path / "mail"
    path.write_bytes(b"xxSubject: a\n\nbody--")
    with Message.from_file(str(path), Limits(), 2, 18) as mail:
        assert mail.raw == b"Subject: a\n\nbody"
        assert mail.subject == "a"


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 99)])
def test_a_slice_outside_the_file_is_refused(tmp_path, start, end):
    path = tmp_path / "mail"
    path.write_bytes(b"A: b\n\n")
    with pytest.raises(ValueError, match="outside the file"):
        Message.from_file(path, start=start, end=end)


def test_closing_leaves_views_to_their_holders(tmp_path):
    path = tmp_path / "mail"
    path.write_bytes(MAIL)
    mail = Message.from_file(path)
    view = memoryview(mail.raw)[:12]
    mail.close()
    mail.close()
    assert bytes(view) == b"Subject: big"


GROWTH = """
import re, sys
from pathlib import Path
from mailward.mime import Message

def anonymous_bytes():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

with Message.from_bytes(b"A: b\\n\\nx") as small:
    _ = small.root.content, small.root.digest("sha256")
before = most = anonymous_bytes()
with Message.from_file(sys.argv[1]) as message:
    for part in message.walk():
        _ = part.filename, part.detected_type
        if part.is_leaf:
            for _ in part.stream():
                most = max(most, anonymous_bytes())
            part.digest("sha256")
        most = max(most, anonymous_bytes())
print(len(list(message.walk())), most - before)
"""


def test_a_message_of_50_mb_costs_little_beyond_its_map(tmp_path):
    path = tmp_path / "mail"
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    head, tail = MAIL.split(b"base64\r\n\r\n")[0] + b"base64\r\n\r\n", b"--0123456789--\r\n"
    path.write_bytes(head + line * (50_000_000 // len(line)) + tail)
    run = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    parts, growth_bytes = map(int, run.stdout.split())
    assert parts == 3
    assert growth_bytes < 20_000_000
