"""The loss test's peers: clients that keep count, a next hop and a name server that fail on command."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from attrs import define, field

MARK = re.compile(rb"^Subject: soak (\S+) ([0-9a-f]{64})\r\n", re.MULTILINE)
STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "HALF", ".")
"""The steps of a conversation at which either side can be cut off; HALF is the middle of the content."""


def message(token: str, size: int) -> bytes:
    """A message that names itself, and shows whether it is whole."""
    text = random.Random(token).randbytes(size // 2 + 1).hex().encode()
    body = b"".join(text[at : at + 72] + b"\r\n" for at in range(0, len(text), 72))
    head = f"From: a@soak.example\r\nTo: b@soak.example\r\nSubject: soak {token} {hashlib.sha256(body).hexdigest()}\r\n"
    return head.encode() + b"\r\n" + body


@define
class Ledger:
    """What was sent, accepted, delivered; shared by all threads."""

    accepted: set[str] = field(factory=set)
    tried: int = 0
    refused: Counter[str] = field(factory=Counter)
    cut: int = 0
    delivered: Counter[str] = field(factory=Counter)
    damaged: set[str] = field(factory=set)
    noise: int = 0
    notices: int = 0
    unanswered: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    def take(self, content: bytes, answered: bool) -> None:
        """The next hop has got a message; ``answered`` is whether it could say so."""
        head, _, body = content.partition(b"\r\n\r\n")
        found = MARK.search(head + b"\r\n")
        with self.lock:
            self.unanswered += not answered
            if found is None:
                # notices quote the mark of a message, but not in their own header
                self.notices += b"multipart/report" in head
                self.noise += b"multipart/report" not in head
                return
            token = found[1].decode()
            if hashlib.sha256(body).hexdigest().encode() != found[2]:
                self.damaged.add(token)
            self.delivered[token] += 1


class Client(threading.Thread):
    """Sends messages one after another, most of them whole; counts every 250."""

    def __init__(self, number: int, port: int, ledger: Ledger, sizes: tuple[int, ...], done: threading.Event) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._number, self._port, self._ledger, self._sizes, self._done = number, port, ledger, sizes, done
        self._random = random.Random(number)

    def run(self) -> None:
        """Go on until it is enough."""
        count = 0
        while not self._done.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 30) as connection:
                connection.settimeout(60)
                with connection.makefile("rb") as replies:
                    self._expect(replies, connection, "")
                    self._expect(replies, connection, "EHLO soak.example")
                    for _ in range(self._random.randint(1, 8)):
                        count += 1
                        if self._done.is_set() or not self._send(replies, connection, f"{self._number}.{count}"):
                            break
            self._done.wait(0.05)

    def _expect(self, replies: object, connection: socket.socket, line: str) -> str:
        if line:
            connection.sendall(line.encode() + b"\r\n")
        while True:
            reply = cast(bytes, replies.readline())  # type: ignore[attr-defined]
            if not reply:
                raise ConnectionResetError
            if reply[3:4] != b"-":
                return reply.decode("ascii", "replace").strip()

    def _send(self, replies: object, connection: socket.socket, token: str) -> bool:
        """Send one message; whether the connection can go on."""
        ledger = self._ledger
        cut_at = self._random.choice(STEPS) if self._random.random() < 0.08 else ""
        with ledger.lock:
            ledger.tried += 1
        content = message(token, self._random.choice(self._sizes))
        for step, line in (("MAIL", "MAIL FROM:<a@soak.example>"), ("RCPT", "RCPT TO:<b@soak.test>"), ("DATA", "DATA")):
            if cut_at == step:
                return self._cut(connection)
            reply = self._expect(replies, connection, line)
            if reply[0] not in "23":
                return self._refused(reply)
        if cut_at == "HALF":
            connection.sendall(content[: len(content) // 2])
            return self._cut(connection)
        connection.sendall(content + b".\r\n")
        if cut_at == ".":
            return self._cut(connection)
        reply = self._expect(replies, connection, "")
        if reply.startswith("250"):
            with ledger.lock:
                ledger.accepted.add(token)
            return True
        return self._refused(reply)

    def _cut(self, connection: socket.socket) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self._ledger.lock:
            self._ledger.cut += 1
        return False

    def _refused(self, reply: str) -> bool:
        with self._ledger.lock:
            self._ledger.refused[reply[:9].rstrip()] += 1
        self._done.wait(0.05)
        return not reply.startswith("421")


class NextHop(socketserver.ThreadingTCPServer):
    """Takes everything, but cuts connections at ``cut_at`` and answers 4xx while ``busy``."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, ledger: Ledger) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.port = int(self.server_address[1])
        self.ledger = ledger
        self.cut_at = ""
        self.busy = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A gateway that was killed in mid-sentence is no error here."""


class _Cut(Exception):
    """The connection is to be cut here."""


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        hop = cast(NextHop, self.server)
        with contextlib.suppress(OSError, _Cut):
            self._step(hop, "CONNECT")
            self._say("220 hop ESMTP")
            while line := self.rfile.readline():
                verb = line[:4].upper().decode("ascii", "replace")
                self._step(hop, verb)
                if verb == "DATA":
                    self._content(hop)
                elif verb == "EHLO":
                    self._say("250-hop\r\n250-PIPELINING\r\n250 8BITMIME")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("451 4.2.1 busy" if hop.busy and verb == "RCPT" else "250 ok")

    def _step(self, hop: NextHop, step: str) -> None:
        if hop.cut_at == step:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Cut

    def _say(self, reply: str) -> None:
        self.wfile.write(reply.encode() + b"\r\n")

    def _content(self, hop: NextHop) -> None:
        self._say("354 go on")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise _Cut
            lines.append(line[1:] if line.startswith(b".") else line)
            if len(lines) == 5:
                self._step(hop, "HALF")
        answers = hop.cut_at != "."
        hop.ledger.take(b"".join(lines), answers)
        self._step(hop, ".")
        self._say("250 taken")


class NameServer(socketserver.UDPServer):
    """Says 127.0.0.1 for every name, or nothing at all while ``silent``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.port = int(self.server_address[1])
        self.silent = False
        self.asked = 0

    def finish_request(self, request: object, client_address: object) -> None:
        """Answer one question."""
        import dns.flags
        import dns.message
        import dns.rrset

        data, out = cast(tuple[bytes, socket.socket], request)
        self.asked += 1
        if self.silent:
            return
        with contextlib.suppress(Exception):
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.AA
            question = query.question[0]
            if question.rdtype == 1:
                answer.answer.append(dns.rrset.from_text(question.name, 1, "IN", "A", "127.0.0.1"))
            out.sendto(answer.to_wire(), cast(tuple[str, int], client_address))


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread for the length of a block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
