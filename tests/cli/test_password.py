"""``mailward password``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailward.gateway.passwords import PasswordFile

Run = Callable[..., Any]


def test_a_line_is_printed_where_no_file_is_named(run: Run, tmp_path: Path) -> None:
    done = run("password", "--stdin", "bob", stdin=b"secret\n")
    assert done.status == 0
    assert done.out.startswith("bob:$argon2id$")
    (tmp_path / "passwords").write_text(done.out)
    file = PasswordFile(tmp_path / "passwords")
    assert file.verify("bob", "secret")
    assert not file.verify("bob", "other")
    assert not file.verify("eve", "secret")


def test_a_file_is_made_changed_and_shrunk(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    for user, secret, said in (("bob", "one", "added"), ("ann@x.example", "two", "added"), ("bob", "three", "changed")):
        done = run("password", "--file", file, "--stdin", user, stdin=f"{secret}\n".encode())
        assert (done.status, done.out.strip()) == (0, f"{user} {said}")
    assert file.stat().st_mode & 0o777 == 0o600
    passwords = PasswordFile(file)
    assert [passwords.verify("bob", one) for one in ("one", "three")] == [False, True]
    assert passwords.verify("ann@x.example", "two")
    assert run("password", "--file", file, "--remove", "bob").status == 0
    assert not passwords.verify("bob", "three")
    assert "was not there" in run("password", "--file", file, "--remove", "bob").out


def test_comments_and_order_of_a_file_stay(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# people\nzoe:$argon2id$z\n\n# machines\nbob:$argon2id$b\nann:$argon2id$a")
    assert run("password", "--file", file, "--stdin", "bob", stdin=b"secret\n").status == 0
    lines = file.read_text().split("\n")
    assert lines[:4] == ["# people", "zoe:$argon2id$z", "", "# machines"]
    assert lines[4].startswith("bob:$argon2id$v=")
    assert lines[5:] == ["ann:$argon2id$a", ""]
    assert run("password", "--file", file, "--remove", "zoe").status == 0
    assert run("password", "--file", file, "--stdin", "new", stdin=b"secret\n").status == 0
    lines = file.read_text().split("\n")
    assert lines[:3] == ["# people", "", "# machines"]
    assert lines[5].startswith("new:$argon2id$v=")


def test_a_file_without_a_line_may_be_filled(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.touch()
    assert run("password", "--file", file, "--stdin", "bob", stdin=b"secret\n").status == 0
    assert file.read_text().startswith("bob:")


def test_what_is_no_name_or_no_password_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    for name in ("b:b", "#bob", "bob\nann", "bob\u2028", ""):
        assert run("password", "--file", file, "--stdin", name, stdin=b"x\n").status != 0
        printed = run("password", "--stdin", name, stdin=b"x\n")
        assert (printed.status != 0, printed.out) == (True, "")
    assert run("password", "--file", file, "--stdin", "bob", stdin=b"\n").status == 2
    assert run("password", "--remove", "bob").status == 2
    assert not file.exists()


def test_a_file_that_is_none_is_told_with_its_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# users\nbob:secret\n")
    done = run("password", "--file", file, "--stdin", "ann", stdin=b"x\n")
    assert done.status != 0
    assert "passwords:2" in done.err
    assert file.read_text() == "# users\nbob:secret\n"
