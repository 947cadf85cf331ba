"""``mailward scan``: findings below their parts, verdicts, and an exit status for scripts."""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
EICAR = "".join(("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*")).encode()
CLEAN = b"From: a@example.com\nSubject: hi\n\nhello\n"


def attached(name: str, content: bytes) -> bytes:
    return (
        b"From: a@example.com\nSubject: see below\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\nContent-Type: text/plain\n\nhello\n"
        b'--x\nContent-Type: application/octet-stream; name="' + name.encode() + b'"\n'
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(content) + b"--x--\n"
    )


def zipped(name: str, content: bytes, *, encrypted: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    data = bytearray(file.getvalue())
    if encrypted:
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "clean.eml").write_bytes(CLEAN)
    (tmp_path / "virus.eml").write_bytes(attached("a.bin", EICAR))
    (tmp_path / "locked.eml").write_bytes(attached("a.zip", zipped("a.txt", b"x", encrypted=True)))
    return tmp_path


def test_a_clean_file_is_status_0(run: Run, files: Path) -> None:
    done = run("scan", "clean.eml")
    assert done.status == 0
    assert done.out.startswith("clean.eml\n")
    assert "text/plain" in done.out
    assert "verdict: deliver" in done.out
    assert done.err == ""


def test_a_finding_stands_below_its_part_and_is_status_1(run: Run, files: Path) -> None:
    done = run("scan", "virus.eml")
    assert done.status == 1
    lines = done.out.splitlines()
    part = next(number for number, line in enumerate(lines) if "a.bin" in line)
    assert "2  application/octet-stream" in lines[part]
    assert "68 bytes" in lines[part]
    assert "infected: antivirus." in lines[part + 1]
    assert "verdict: deliver, 1 edit  by antivirus: " in done.out
    assert " ms" in lines[-1]


def test_what_could_not_be_checked_is_status_3(run: Run, files: Path) -> None:
    done = run("scan", "locked.eml")
    assert done.status == 3
    assert "encrypted: core.encrypted" in done.out
    assert "verdict: deliver, 1 edit" in done.out
    assert "by content: encrypted" in done.out


def test_the_built_in_defaults_open_what_people_send_packed(run: Run, files: Path) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        entry = tarfile.TarInfo("notes.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    (files / "packed.eml").write_bytes(attached("notes.tar.gz", tar.getvalue()))
    done = run("scan", files / "packed.eml")
    assert (done.status, "notes.txt" in done.out) == (0, True), done.out


def test_of_several_files_the_gravest_decides(run: Run, files: Path) -> None:
    assert run("scan", "clean.eml", "locked.eml").status == 3
    assert run("scan", "clean.eml", "locked.eml", "virus.eml").status == 1


def test_a_file_that_cannot_be_read_is_status_3(run: Run, files: Path) -> None:
    done = run("scan", "none.eml", "clean.eml")
    assert done.status == 3
    assert "cannot be read: No such file or directory" in done.out
    assert "verdict: deliver" in done.out


def test_standard_input_is_a_file_too(run: Run) -> None:
    assert run("scan", "-", stdin=attached("a.bin", EICAR)).status == 1
    assert run("scan", "-", stdin=CLEAN.replace(b"\n", b"\r\n")).status == 0


def test_json_has_the_whole_verdict(run: Run, files: Path) -> None:
    clean, virus, none = run("scan", "--json", "clean.eml", "virus.eml", "none.eml").json
    assert (clean["file"], clean["status"], clean["problem"]) == ("clean.eml", "clean", "")
    assert virus["status"] == "found"
    assert [part["path"] for part in virus["parts"]] == ["", "1", "2"]
    assert virus["parts"][2]["names"] == ["a.bin"]
    (copy,) = virus["verdict"]["copies"]
    assert copy["findings"][0]["kind"] == "infected"
    assert copy["decided_by"]["plugin"] == "antivirus"
    assert (none["status"], none["verdict"]) == ("unchecked", None)


def test_policies_apply_by_sender_and_recipient(run: Run, files: Path) -> None:
    (files / "mailward.toml").write_text(
        "plugins = ['antivirus']\n[policy.finance]\nrecipients = '*@finance.example'\n"
        "senders = 'a@*'\nantivirus.on_infected = ['reject']\n"
    )
    options = ("--sender", "a@x.example", "--recipient", "b@y.example", "--recipient", "<c@finance.example>")
    done = run("scan", "-c", "mailward.toml", "virus.eml", *options)
    assert "verdict: deliver, 1 edit" in done.out
    assert "for b@y.example" in done.out
    assert "verdict: reject" in done.out
    assert "policy finance  for c@finance.example" in done.out


def test_an_address_that_is_none_is_wrong_usage(run: Run, files: Path) -> None:
    done = run("scan", "--sender", "nobody", "clean.eml")
    assert done.status == 2
    assert "local@domain" in done.err


def test_a_plugin_that_hangs_is_a_failure_and_no_hang(run: Run, files: Path) -> None:
    (files / "slow.py").write_text(
        "from mailward import Plugin, hookimpl\n\nclass Slow(Plugin):\n    timeout_s = 0.1\n\n"
        "    @hookimpl\n    def scan_part(self):\n        while True:\n            pass\n"
    )
    (files / "mailward.toml").write_text("plugins = ['./slow.py']\n")
    done = run("scan", "-c", "mailward.toml", "clean.eml")
    assert done.status == 3
    assert "failure: slow.failure deadline" in done.out
    assert "verdict: defer" in done.out


def test_a_shadow_finding_is_shown_and_changes_nothing(run: Run, files: Path) -> None:
    (files / "mailward.toml").write_text("plugins = ['antivirus']\n[antivirus]\nshadow = true\n")
    done = run("scan", "-c", "mailward.toml", "virus.eml")
    assert done.status == 0
    assert "[shadow: not applied]" in done.out


def test_names_from_mail_cannot_speak_to_the_terminal(run: Run, files: Path) -> None:
    (files / "evil.eml").write_bytes(attached("a.zip", zipped("\x1b]0;owned\x07.txt", b"x")))
    assert "\x1b" not in run("scan", "evil.eml").out


def test_nothing_is_left_behind(run: Run, files: Path) -> None:
    before = sorted(files.iterdir())
    run("scan", "clean.eml", "virus.eml")
    assert sorted(files.iterdir()) == before
