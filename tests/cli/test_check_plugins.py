"""What the delivered plugins say to ``mailward check``."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Rows = dict[str, dict[str, str]]


@pytest.fixture
def rows(run: Run, tmp_path: Path) -> Callable[[str], Rows]:
    def check(toml: str) -> Rows:
        (tmp_path / "mailward.toml").write_text(
            "plugins = ['relay', 'antivirus']\n[gateway]\nlisten = ['127.0.0.1:0']\n[dns]\ntimeout_s = 0.1\n" + toml
        )
        done = run("check", "-c", "mailward.toml", "--json")
        return {f"{row['plugin']}: {row['name']}": row for row in done.json["checks"]}

    return check


def converse(server: socket.socket, lines: list[bytes], *, greets: bool) -> None:
    """Say one line after another; ``greets``: the first before anything was heard."""
    connection, _ = server.accept()
    with connection:
        for place, line in enumerate(lines):
            if place or not greets:
                connection.recv(4096)
            connection.sendall(line)


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def start(*lines: bytes, greets: bool = True) -> int:
        one = socket.create_server(("127.0.0.1", 0))
        sockets.append(one)
        threads.append(threading.Thread(target=converse, args=(one, list(lines)), kwargs={"greets": greets}))
        threads[-1].start()
        port: int = one.getsockname()[1]
        return port

    yield start
    for thread in threads:
        thread.join()
    for one in sockets:
        one.close()


def test_a_next_hop_that_answers(rows: Callable[[str], Rows], server: Callable[..., int]) -> None:
    port = server(b"220 hop ESMTP\r\n", b"250 hop\r\n", b"221 bye\r\n")
    found = rows(f"[relay]\nlocal = {{ 'house.example' = '127.0.0.1:{port}' }}\n")
    row = found[f"relay: next hop smtp:127.0.0.1:{port}"]
    assert (row["health"], row["detail"]) == ("ok", f"127.0.0.1:{port} answers")


def test_a_next_hop_that_is_down(rows: Callable[[str], Rows]) -> None:
    row = rows("[relay]\nforward = { any = '127.0.0.1:1' }\n")["relay: next hop smtp:127.0.0.1:1"]
    assert row["health"] == "failure"
    assert "refused" in row["detail"]
    assert "waits in the queue" in row["advice"]


def test_a_next_hop_that_is_a_folder(rows: Callable[[str], Rows], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = rows("[relay]\ndefault = 'maildir:box'\nlocal = { 'house.example' = 'maildir:file/box' }\n")
    assert found[f"relay: next hop maildir:{tmp_path}/box"]["health"] == "ok"
    assert found[f"relay: next hop maildir:{tmp_path}/file/box"]["health"] == "failure"


def test_an_open_relay_is_pointed_at(rows: Callable[[str], Rows]) -> None:
    assert rows("[relay]\nlocal = { '*' = 'mx' }\n")["relay: relaying"]["health"] == "warning"


def test_clamd_that_answers(rows: Callable[[str], Rows], server: Callable[..., int]) -> None:
    port = server(b"PONG\0", greets=False)
    found = rows(f"[antivirus]\nclamd = ['127.0.0.1:{port}']\n")
    assert found["antivirus: clamd"]["health"] == "ok"
    assert found["antivirus: signatures"]["health"] == "ok"


def test_clamd_that_is_down(rows: Callable[[str], Rows]) -> None:
    row = rows("[antivirus]\nclamd = ['unix:none.sock']\n")["antivirus: clamd"]
    assert row["health"] == "failure"
    assert "none.sock does not answer" in row["detail"]
    assert "start it" in row["advice"]


def test_signatures_are_counted(rows: Callable[[str], Rows], tmp_path: Path) -> None:
    (tmp_path / "own.hdb").write_text(f"{'0' * 32}:5:Test\n")
    row = rows("[antivirus]\nsignatures = ['own.hdb']\n")["antivirus: signatures"]
    assert (row["health"], row["detail"]) == ("ok", "1 signatures and the EICAR test file")


def test_without_scanner_and_signatures_there_is_a_warning(rows: Callable[[str], Rows]) -> None:
    row = rows("")["antivirus: signatures"]
    assert row["health"] == "warning"
    assert "antivirus.clamd" in row["advice"]
