"""An SMTP client that says exactly what it is told, byte for byte."""

from __future__ import annotations

import re
import socket
import ssl
from types import TracebackType
from typing import Self

from attrs import frozen

TIMEOUT_S = 30.0
DOTS = re.compile(rb"^\.", re.MULTILINE)


@frozen
class Reply:
    """A reply as it came: code, and the text of all its lines."""

    code: int
    text: str

    @property
    def id(self) -> str:
        """The message id that an acceptance names."""
        found = re.search(r"accepted as (\S+)", self.text)
        assert self.code == 250, self
        assert found is not None, self
        return found[1]


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        self._file.close()
        self._socket.close()

    def shut(self) -> None:
        """Say nothing more, and go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Hang up with a reset, as a client does that crashed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def write(self, data: bytes) -> None:
        """Send these bytes and nothing else."""
        self._socket.sendall(data)

    def read(self) -> Reply:
        """The next reply; code 0 where the gateway hung up."""
        lines: list[bytes] = []
        while True:
            try:
                line = self._file.readline()
            except ConnectionError:
                line = b""
            if not line:
                return Reply(0, b"\n".join(lines).decode())
            lines.append(line[4:].rstrip(b"\r\n"))
            assert line.endswith(b"\r\n"), line
            if line[3:4] != b"-":
                return Reply(int(line[:3]), b"\n".join(lines).decode())

    def say(self, line: str | bytes) -> Reply:
        """Send a command line; its reply."""
        self.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.read()

    def greet(self, name: str = "client.example") -> Reply:
        """Read the greeting and say EHLO; the reply to that."""
        greeting = self.read()
        assert greeting.code == 220, greeting
        return self.say(f"EHLO {name}")

    def envelope(self, *to: str, sender: str = "author@sender.example") -> Reply:
        """MAIL and RCPT; the first refusal, or the last reply."""
        replies = [self.say(f"MAIL FROM:<{sender}>")]
        for recipient in to or ("reader@house.example",):
            if replies[-1].code == 250:
                replies.append(self.say(f"RCPT TO:<{recipient}>"))
        return replies[-1]

    def content(self, content: bytes) -> Reply:
        """DATA and the content, dot-stuffed; the reply to its end, or to DATA where that is refused."""
        go_ahead = self.say("DATA")
        if go_ahead.code != 354:
            return go_ahead
        self.write(DOTS.sub(b"..", content) + b".\r\n")
        return self.read()

    def send(self, content: bytes, *to: str, sender: str = "author@sender.example") -> Reply:
        """A whole transaction: the reply to end of data, or the first refusal."""
        refusal = self.envelope(*to, sender=sender)
        return refusal if refusal.code != 250 else self.content(content)

    @property
    def hung_up(self) -> bool:
        """Whether the gateway closes the connection and says nothing more (waits for it)."""
        return self.read() == Reply(0, "")


class TlsClient(Client):
    """A client that can go on in TLS."""

    def encrypt(self, context: ssl.SSLContext, name: str = "mx.example.test") -> ssl.SSLSocket:
        """Begin TLS now, on what is there of the connection."""
        self._file.close()
        self._socket = encrypted = context.wrap_socket(self._socket, server_hostname=name)
        self._file = encrypted.makefile("rb")
        return encrypted

    def encrypted_code(self, context: ssl.SSLContext) -> int:
        """The code of the greeting in TLS; 0 where TLS is refused."""
        try:
            self.encrypt(context)
            return self.read().code
        except (ssl.SSLError, ConnectionError):
            return 0

    def starttls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """STARTTLS and EHLO anew."""
        go_ahead = self.say("STARTTLS")
        assert go_ahead.code == 220, go_ahead
        encrypted = self.encrypt(context)
        assert self.say("EHLO client.example").code == 250
        return encrypted
