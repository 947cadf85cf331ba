"""Peers to deliver to: a scripted server in the test's own loop, and real ones in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from attrs import define, field, frozen

from mailward import (
    Address,
    Clock,
    Context,
    Delivery,
    Envelope,
    MessageInfo,
    NextHop,
    Ourselves,
    Recipient,
    Resolver,
    Result,
    Sender,
)
from mailward_relay import Relay, RelaySettings

CLOSE = "close"
STALL = "stall"


def required(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails where servers are required."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = f"{program} is not installed"
        (pytest.fail if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1" else pytest.skip)(reason)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """Return once a server listens on a port of this machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing listens on port {port}")


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that listens on ``port``, ended with the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@frozen
class Blob:
    """Content from memory, cut into pieces of ``cut`` bytes at most."""

    data: bytes
    cut: int = 65_536

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    async def chunks(self, max_bytes: int = 65_536) -> AsyncIterator[bytes]:
        step = min(self.cut, max_bytes)
        for start in range(0, len(self.data), step):
            yield self.data[start : start + step]


Action = str | bytes | Callable[[str], Any]


@define
class Peer:
    """An SMTP server that does as it is told, in the loop of the test.

    ``script`` maps a verb (GREETING, END for the end of data, else the command's) to what happens
    there: a reply, CLOSE, STALL, a function of the command line that gives one of these, or a list
    of them for the first, second, … time, the last for all times after. What came is in ``commands``
    and, with the stuffing taken out as RFC 5321 says, in ``messages``; there is each chunk of BDAT, too.
    """

    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 10000000", "8BITMIME", "ENHANCEDSTATUSCODES")
    script: dict[str, Action | list[Action]] = field(factory=dict)
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    commands: list[str] = field(factory=list)
    messages: list[bytes] = field(factory=list)
    clients: list[str] = field(factory=list)
    client_certificates: list[bytes | None] = field(factory=list)
    connections: int = 0
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _granted: bool = False
    _prompted: bool = False

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Peer]:
        server = await asyncio.start_server(self._accept, self.host, self.port, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.clients.append(writer.get_extra_info("peername")[0])
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._act("GREETING", "", "220 peer.example ESMTP", writer):
            return
        while line := await reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.commands.append(text)
            verb = "RESPONSE" if self._prompted else text.split(" ")[0].upper()
            if verb == "BDAT":
                self.messages.append(await reader.readexactly(int(text.split(" ")[1])))
            if not await self._act(verb, text, self._default(verb), writer):
                return
            if verb == "DATA" and self._granted:
                self.messages.append(await self._content(reader))
                if not await self._act("END", "", "250 2.0.0 taken", writer):
                    return
            elif verb == "STARTTLS" and self.tls is not None:
                await writer.start_tls(self.tls)
                self.client_certificates.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            elif verb == "QUIT":
                return

    def _default(self, verb: str) -> str:
        if verb in ("EHLO", "LHLO"):
            lines = ["peer.example", *self.extensions]
            return "\r\n".join(f"250{'-' if place < len(lines) else ' '}{x}" for place, x in enumerate(lines, 1))
        known = {
            "DATA": "354 go on",
            "QUIT": "221 2.0.0 bye",
            "STARTTLS": "220 2.0.0 ready",
            "RESPONSE": "235 2.7.0 in",
        }
        return known.get(verb, "250 2.1.0 fine")

    async def _act(self, verb: str, line: str, default: str, writer: asyncio.StreamWriter) -> bool:
        action: Any = self.script.get(verb, default)
        if isinstance(action, list):
            action = action.pop(0) if len(action) > 1 else action[0]
        if callable(action):
            action = action(line)
        if action == CLOSE:
            return False
        if action == STALL:
            await asyncio.sleep(3600)
        data = action if isinstance(action, bytes) else f"{action}\r\n".encode()
        self._granted = verb == "DATA" and data.startswith(b"354")
        self._prompted = data.startswith(b"334")
        writer.write(data)
        await writer.drain()
        return True

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        pieces = [b"\r\n"]
        tail = b"\r\n"
        while not tail.endswith(b"\r\n.\r\n"):
            piece = await reader.read(1 << 20)
            if not piece:
                raise ConnectionError("cut off")
            pieces.append(piece)
            tail = (tail + piece)[-5:]
        # Up to the first end of data, as any server: what an inner one cuts off is missed in the test.
        raw = b"".join(pieces).split(b"\r\n.\r\n", 1)[0][2:] + b"\r\n"
        if len(pieces) == 2 and pieces[1] == b".\r\n":
            return b""
        return re.sub(rb"(\A|\r\n)\.", rb"\1", raw)


@pytest.fixture
def peer() -> type[Peer]:
    return Peer


@pytest.fixture
def blob() -> type[Blob]:
    return Blob


MakeRelay = Callable[..., Relay]


@pytest.fixture
def make_relay(tmp_path: Path) -> MakeRelay:
    """A relay plugin from settings; short time-outs, so that nothing waits for minutes."""

    def make(
        resolver: Resolver | None = None,
        clock: Clock | None = None,
        ourselves: Ourselves | None = None,
        timeout_s: float = 30.0,
        **settings: Any,
    ) -> Relay:
        context = Context(
            name="relay",
            hostname="gate.example",
            base=tmp_path,
            resolver=resolver or Resolver(),
            clock=clock or Clock(),
            ourselves=ourselves or Ourselves("gate.example"),
            timeout_s=timeout_s,
        )
        return Relay(RelaySettings(**settings), context)

    return make


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that signs certificates for tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def tls_for(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """A server's TLS context for names that the authority vouches for."""

    def make(*names: str, clients: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        if clients:
            context.verify_mode = ssl.CERT_OPTIONAL
            authority.configure_trust(context)
        return context

    return make


Send = Callable[..., Any]


@pytest.fixture
def send() -> Send:
    """Delivers one message to a port of this machine and gives the results."""

    async def deliver(
        relay: Relay,
        port: int,
        body: Any = b"Subject: hello\r\n\r\ngood day\r\n",
        *,
        sender: str | Sender = "a@sender.example",
        attempts: int = 0,
        to: Sequence[str | Recipient] = ("b@rcpt.example",),
        hop: NextHop | None = None,
    ) -> list[Result]:
        content = Blob(body) if isinstance(body, bytes) else body
        recipients = tuple(Recipient(Address.parse(x)) if isinstance(x, str) else x for x in to)
        head = body.partition(b"\r\n\r\n")[0] if isinstance(body, bytes) else b""
        found = await relay.deliver(
            Delivery(
                MessageInfo("m1", Envelope(), content.size_bytes, head, attempts),
                Sender(Address.parse(sender)) if isinstance(sender, str) else sender,
                recipients,
                hop or NextHop("smtp", "127.0.0.1", port),
                content,
            )
        )
        assert found is not None
        assert [result.recipient for result in found] == list(recipients)
        return found

    return deliver


Bursts = Callable[..., tuple[Result, list[bytes]]]


@pytest.fixture
def bursts(make_relay: MakeRelay, send: Send) -> Bursts:
    """Delivers to a server that says the next answer after each read: the result, and what each read gave it."""

    def deliver(answers: Sequence[bytes], *body: bytes) -> tuple[Result, list[bytes]]:
        read: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                writer.write(answer)
                read.append(await reader.read(65_536))
            writer.close()

        async def run() -> Result:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            relay = make_relay()
            (result,) = await send(relay, server.sockets[0].getsockname()[1], *body)
            await relay.stop()
            server.close()
            return result

        return asyncio.run(run()), read

    return deliver


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS context with a certificate that nobody signed."""
    folder = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(folder / "key")]
    certificate = ["-nodes", "-subj", "/CN=peer.example", "-days", "2", "-out", str(folder / "cert")]
    subprocess.run([required("openssl"), "req", "-x509", *key, *certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@frozen
class Sink:
    """A running smtp-sink; ``dumps`` holds a file for each message where dumping was asked for."""

    port: int
    dumps: Path

    def messages(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.dumps.iterdir())]


@pytest.fixture
def sink() -> Iterator[Callable[..., Sink]]:
    """Starts Postfix's smtp-sink with options."""
    program = required("smtp-sink")
    with contextlib.ExitStack() as stack:

        def start(*options: str, dump: bool = False) -> Sink:
            # not below pytest's folder, which only its owner may enter
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailward-sink-")))
            folder.chmod(0o777)
            port = free_port()
            user = ("-u", "postfix") if os.geteuid() == 0 else ()
            dumping = ("-d", f"{folder}/%M.") if dump else ()
            stack.enter_context(running([program, *user, *options, *dumping, f"127.0.0.1:{port}", "100"], port))
            return Sink(port, folder)

        yield start


DNS_DATA = (
    "mx.example. MX 20 second.mx.example.",
    "mx.example. MX 10 first.mx.example.",
    "first.mx.example. A 127.0.0.1",
    "second.mx.example. A 127.0.0.2",
    "equal.example. MX 10 a.equal.example.",
    "equal.example. MX 10 b.equal.example.",
    "equal.example. MX 10 c.equal.example.",
    "equal.example. MX 5 best.equal.example.",
    "implicit.example. A 127.0.0.1",
    "six.example. AAAA ::1",
    "null.example. MX 0 .",
    "loop.example. MX 10 far.example.",
    "loop.example. MX 20 gate.example.",
    "loop.example. MX 30 behind.example.",
    "selfish.example. MX 10 gate.example.",
    "gate.example. A 127.0.0.1",
    "empty.example. TXT nothing",
    "9.113.0.203.in-addr.arpa. PTR friend.partner.example.",
    "friend.partner.example. A 203.0.113.9",
    "10.113.0.203.in-addr.arpa. PTR liar.partner.example.",
    "liar.partner.example. A 203.0.113.99",
    "20.113.0.203.in-addr.arpa. PTR good.gate.example.",
    "good.gate.example. A 203.0.113.20",
    "mirror.example. MX 10 far.mirror.example.",
    "mirror.example. MX 20 us.mirror.example.",
    "mirror.example. MX 30 behind.mirror.example.",
    "far.mirror.example. A 198.51.100.1",
    "us.mirror.example. A 192.0.2.1",
    "behind.mirror.example. A 198.51.100.2",
    "only.mirror.example. MX 10 us.mirror.example.",
    "equal.mirror.example. MX 10 far.mirror.example.",
    "equal.mirror.example. MX 10 us.mirror.example.",
    "bare.mirror.example. A 192.0.2.1",
    "second.mirror.example. MX 10 two.mirror.example.",
    "two.mirror.example. A 198.51.100.3",
    "two.mirror.example. A 192.0.2.1",
    "loopback.mirror.example. A 127.0.0.53",
    "any.mirror.example. A 0.0.0.0",
    "nat.mirror.example. MX 10 nat-host.mirror.example.",
    "nat-host.mirror.example. A 203.0.113.77",
    "broken-host.mirror.example. MX 10 host.broken.example.",
    "toothless.example. MX 10 nohost.example.",
)


@pytest.fixture(scope="session")
def dns_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An unbound that knows `DNS_DATA`, fails for broken.example, and says NXDOMAIN to all else."""
    program = required("unbound")
    folder = tmp_path_factory.mktemp("unbound")
    port, dead = free_port(), free_port()
    data = "\n".join(f"  local-data: '{line}'" for line in DNS_DATA)
    (folder / "unbound.conf").write_text(
        f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "." static
  local-zone: "broken.example." transparent
{data}
forward-zone:
  name: "broken.example."
  forward-addr: 127.0.0.1@{dead}
remote-control:
  control-enable: no
"""
    )
    with running([program, "-d", "-c", str(folder / "unbound.conf")], port):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def resolver(dns_server: str) -> Resolver:
    return Resolver((dns_server,), timeout_s=2.0)


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that never ends its reply to MAIL, in a thread of its own."""
    ready = threading.Event()
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        ready.set()
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"220 x\r\n")
            connection.recv(1000)
            connection.sendall(b"250 x\r\n")
            while not done.wait(0.2):
                connection.sendall(b"250-x\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    yield int(listener.getsockname()[1])
    done.set()
    thread.join()
    listener.close()


@frozen
class Postfix:
    """A running Postfix that takes mail for rcpt.example into a Maildir."""

    port: int
    folder: Path

    def wait_for_messages(self, number: int, seconds: float = 20.0) -> list[bytes]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [path for path in self.folder.glob("box/new/*") if path.is_file()]
            if len(found) >= number:
                return [path.read_bytes() for path in found]
            time.sleep(0.05)
        return pytest.fail(f"Postfix did not deliver {number} messages")


POSTFIX_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@pytest.fixture(scope="session")
def postfix() -> Iterator[Postfix]:
    """A Postfix with configuration, queue and mailboxes of its own; needs root."""
    master = Path("/usr/lib/postfix/sbin/master")
    required("postfix")
    if os.geteuid() != 0 or not master.exists():
        (pytest.fail if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1" else pytest.skip)("Postfix needs root")
    owner = pwd.getpwnam("postfix")
    with tempfile.TemporaryDirectory(prefix="mailward-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("etc", "data", "spool", "mail"):
            (folder / part).mkdir(mode=0o755)
        for part in ("data", "mail"):
            os.chown(folder / part, owner.pw_uid, owner.pw_gid)
        port = free_port()
        (folder / "etc/main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
virtual_mailbox_domains = rcpt.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_transport = virtual
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = none
alias_maps =
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
"""
        )
        (folder / "etc/master.cf").write_text(f"127.0.0.1:{port} inet n - n - - smtpd\n{POSTFIX_SERVICES}")
        subprocess.run(["postfix", "-c", str(folder / "etc"), "check"], capture_output=True, check=False)
        with running([str(master), "-c", str(folder / "etc"), "-d"], port):
            yield Postfix(port, folder / "mail")
