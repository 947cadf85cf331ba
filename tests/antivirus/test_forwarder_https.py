"""The central quarantine over HTTPS, with a server whose certificate is trusted, or not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailward import Context, Custom, Envelope, Message
from mailward_antivirus.alerts import Alerts
from mailward_antivirus.central import Spool
from mailward_antivirus.forwarder import Forwarder, Target


class Server:
    """Answers every POST with ``status`` and keeps what it got."""

    def __init__(self, folder: Path) -> None:
        self.status = 201
        self.got: list[tuple[dict[str, str], bytes]] = []
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.ca_file = str(folder / "ca.pem")
        self.url = f"https://localhost:{self.server.server_port}/submit?from=mx"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


@pytest.fixture
def waiting(tmp_path: Path) -> Any:
    """A forwarder with two items that wait, and the events it emits."""

    def build(target: Target) -> tuple[Forwarder, list[Custom]]:
        events: list[Custom] = []
        context = Context(name="antivirus", state=tmp_path / "state", emit=events.append)  # type: ignore[arg-type]
        spool = Spool(tmp_path / "spool", 1 << 20)
        from mailward import Finding, Kind

        finding = Finding(Kind.INFECTED, "antivirus", "signatures", "", "Test.Virus")
        for content in (b"first\r\n--x", b"second"):
            with Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content) as message:
                spool.add(message.root, finding, Envelope(id="m1"), float(len(content)))
        return Forwarder(spool, target, Alerts(context)), events

    return build


def test_items_are_posted_with_record_content_and_token(server: Server, waiting: Any) -> None:
    forwarder, events = waiting(Target(server.url, token="secret", ca_file=server.ca_file))
    assert forwarder.send_waiting() is True
    assert forwarder.spool.items() == ()
    assert events == []
    contents = set()
    for headers, body in server.got:
        assert headers["authorization"] == "Bearer secret"
        boundary = headers["content-type"].partition("boundary=")[2].encode()
        record, content = body.split(b"--" + boundary)[1:3]
        assert json.loads(record.partition(b"\r\n\r\n")[2])["virus"] == "Test.Virus"
        contents.add(content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
    assert contents == {b"first\r\n--x", b"second"}


@pytest.mark.parametrize(("status", "asked"), [(503, 1), (401, 1), (429, 1), (400, 2), (413, 2)])
def test_what_is_refused_waits_and_is_told(server: Server, waiting: Any, status: int, asked: int) -> None:
    server.status = status
    forwarder, events = waiting(Target(server.url, ca_file=server.ca_file))
    assert forwarder.send_waiting() is False
    assert len(server.got) == asked
    assert len(forwarder.spool.items()) == 2
    assert [event.rule for event in events] == ["central_quarantine_down"]
    assert str(status) in dict(events[0].fields)["detail"]
    server.status = 200
    assert forwarder.send_waiting() is True


def test_a_server_that_cannot_be_trusted_gets_nothing(server: Server, waiting: Any) -> None:
    forwarder, events = waiting(Target(server.url))
    assert forwarder.send_waiting() is False
    assert server.got == []
    assert "CERTIFICATE_VERIFY_FAILED" in dict(events[0].fields)["detail"]


def test_one_process_sends_at_a_time(server: Server, waiting: Any) -> None:
    import fcntl

    forwarder, _ = waiting(Target(server.url, ca_file=server.ca_file))
    with (forwarder.spool.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert forwarder.send_waiting() is True
        assert server.got == []
    assert forwarder.send_waiting() is True
    assert len(server.got) == 2
