"""A next hop that keeps what it is given, byte for byte, and answers as it is told."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from attrs import evolve, field, frozen

from harness.trace import untraced
from harness.wait import until

KEYWORDS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
"""What the next hop offers after EHLO, unless a test says otherwise."""

Answer = Callable[[str, str], str | None]
"""Told verb (``.`` for end of data) and argument: the reply to give instead of the usual one, or None."""


@frozen
class Arrived:
    """A message that was accepted. ``sender`` and ``recipients`` are the arguments of MAIL and RCPT."""

    sender: str = ""
    recipients: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)

    @property
    def body(self) -> bytes:
        """The content without our trace header, which must be there and well-formed."""
        return untraced(self.content)


def ordinary(verb: str, argument: str) -> str | None:
    """The answer of a next hop that takes everything."""
    return None


class Hop(socketserver.ThreadingTCPServer):
    """The server; ``answer`` and ``keywords`` may be changed while it runs."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.port = int(self.server_address[1])
        self.answer: Answer = ordinary
        self.keywords: tuple[str, ...] = KEYWORDS
        self.arrived: list[Arrived] = []
        self.lock = threading.Lock()

    @property
    def route(self) -> str:
        """How a configuration names this next hop."""
        return f"127.0.0.1:{self.port}"

    def to(self, address: str) -> list[Arrived]:
        """What has arrived for a recipient."""
        with self.lock:
            return [one for one in self.arrived if any(f"<{address}>" in recipient for recipient in one.recipients)]

    def wait_for(self, address: str, count: int = 1) -> Arrived:
        """Wait until so many messages for a recipient are here; the last."""
        return until(lambda: self.to(address)[count - 1 :] and self.to(address), f"{count} × mail for {address}")[-1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A gateway that was killed in mid-sentence is no error here."""


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        hop = cast(Hop, self.server)
        now = Arrived()
        with contextlib.suppress(ConnectionError):
            if not self._say(hop.answer("CONNECT", "") or "220 hop.example ESMTP"):
                return
            while line := self.rfile.readline():
                verb, _, argument = line.decode("utf-8", "surrogateescape").strip().partition(" ")
                verb = verb.upper()
                reply = hop.answer(verb, argument)
                if reply is None:
                    now, reply = self._obey(hop, now, verb, argument)
                if not self._say(reply) or verb == "QUIT":
                    return

    def _say(self, reply: str) -> bool:
        """Send a reply; an empty one means to hang up."""
        if reply:
            self.wfile.write(reply.encode() + b"\r\n")
        return bool(reply)

    def _obey(self, hop: Hop, now: Arrived, verb: str, argument: str) -> tuple[Arrived, str]:
        match verb:
            case "EHLO":
                return Arrived(), "\r\n".join([*(f"250-{word}" for word in ("hop.example", *hop.keywords)), "250 HELP"])
            case "MAIL":
                return Arrived(argument), "250 2.1.0 ok"
            case "RCPT":
                return evolve(now, recipients=(*now.recipients, argument)), "250 2.1.5 ok"
            case "DATA" if now.recipients:
                self._say("354 go on")
                return Arrived(), self._content(hop, now)
            case "DATA":
                return now, "554 5.5.1 no recipients"
            case "RSET" | "HELO":
                return Arrived(), "250 2.0.0 ok"
            case "QUIT":
                return now, "221 2.0.0 bye"
            case _:
                return now, "502 5.5.1 what?"

    def _content(self, hop: Hop, now: Arrived) -> str:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise ConnectionAbortedError
            assert line.endswith(b"\r\n"), line
            lines.append(line[1:] if line.startswith(b".") else line)
        reply = hop.answer(".", now.sender)
        if reply is None:
            with hop.lock:
                hop.arrived.append(evolve(now, content=b"".join(lines)))
        return "250 2.0.0 taken" if reply is None else reply


@contextmanager
def open_hop(port: int = 0) -> Iterator[Hop]:
    """A next hop for the length of a block."""
    hop = Hop(port)
    thread = threading.Thread(target=hop.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hop
    finally:
        hop.shutdown()
        with contextlib.suppress(OSError):
            hop.socket.shutdown(socket.SHUT_RDWR)
        hop.server_close()
        thread.join()
