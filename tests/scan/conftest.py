"""Pools of real scan processes, with a plugin in them that does what the subject of a message says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from mailward import Address, Engine, Envelope, Event, Recipient, Verdict
from mailward.engine.config import Config, parse_config
from mailward.scan.pool import Pool
from mailward.scan.protocol import Setup
from mailward.scan.remote.servers import Servers

ORDERS = '''
import asyncio, contextlib, ctypes, os, pathlib, resource, signal, socket, stat, subprocess, sys, threading, time
from mailward import Custom, Kind, Plugin, hookimpl
from mailward.scan.protocol import Answer, frame
from mailward.scan.suspects import held
from mailward.values.wire import dump

DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
KEPT = []
HERE = pathlib.Path(__file__).parent


def connect():
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", int((HERE / "port").read_text())))


def descriptors():
    paths = ["/proc/self/fd/" + number for number in os.listdir("/proc/self/fd")]
    return [os.readlink(path) for path in paths if os.path.lexists(path)]


def status(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(name + ":"))


class Orders(Plugin):
    needs_network = NETWORK

    @hookimpl
    def scan_message(self, message, scan):
        self.message, self.scan = message, scan
        answer = eval(message.subject, {**globals(), "self": self})
        return self.finding("answer", detail=repr(answer), kind=Kind.NOTE)

    def setup(self):
        if (HERE / "helped").exists():
            KEPT.append(subprocess.Popen(["sleep", "600"]))
            (HERE / "helper").write_text(str(KEPT[-1].pid))

    @hookimpl
    def event(self, event):
        (HERE / "observed").touch()

    def wait(self, name):
        (HERE / f"{name}.begun").touch()
        while not (HERE / name).exists():
            time.sleep(0.005)

    def once(self, name, function):
        """Do it the first time only."""
        if not (HERE / name).exists():
            (HERE / name).touch()
            function()

    def leave_a_task(self):
        """Leave something running that does not let itself be ended."""

        async def stays():
            while True:
                with contextlib.suppress(BaseException):
                    await asyncio.sleep(60)

        KEPT.append(asyncio.get_running_loop().create_task(stays()))

    def daemon(self, name):
        """Leave a process running in a session of its own, whose parent has ended."""
        subprocess.run([sys.executable, "-S", "-c", DAEMON, str(HERE / name)], check=True)
        while not (HERE / name).exists():
            time.sleep(0.005)

    def nested(self, name):
        """Leave a process running that has left one itself."""
        program = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', *sys.argv[1:]])"
        sleeping = f"{program}; import time; time.sleep(600)"
        words = [sys.executable, "-S", "-c", sleeping, DAEMON, str(HERE / name)]
        KEPT.append(subprocess.Popen(words, start_new_session=True))
        while not (HERE / name).exists():
            time.sleep(0.005)

    def twice(self):
        """Answer in the place of the process, which then answers a second time."""
        self.wait("go")
        answer = frame(dump(Answer(held(self.scan.envelope, 3, "made up"))))
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(number)).st_mode):
                    os.write(int(number), answer)

    def emit(self):
        self.context.emit(Custom(plugin="orders", rule="told", fields=(("id", self.scan.envelope.id),)))
'''


@define
class Run:
    """A pool, and the events that it emitted."""

    pool: Pool
    config: Config
    events: list[Event] = field(factory=list)
    folder: Path = Path()
    _number: int = 0

    def of(self, kind: type[Event]) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def judge(self, order: str, body: bytes = b"", *, crashes: int = 0, file: bool = False) -> Verdict:
        """The verdict on a message with this order for the plugin."""
        self._number += 1
        raw = f"Subject: {order}\r\n\r\n".encode() + body
        path = self.folder / f"message{self._number}"
        if file:
            path.write_bytes(raw)
        message = envelope(f"m{self._number}")
        return await self.pool.judge(message, len(raw), None if file else raw, path if file else None, crashes=crashes)

    async def answer(self, order: str, body: bytes = b"", *, file: bool = False) -> str:
        """What the plugin answers to an order."""
        verdict = await self.judge(order, body, file=file)
        answers = [f.detail for f in verdict.copies[0].findings if f.rule == "answer"]
        assert answers, verdict
        return answers[0]


def envelope(message_id: str) -> Envelope:
    """An envelope with one recipient."""
    return Envelope(id=message_id, recipients=(Recipient(Address.parse("reader@house.example")),))


Start = Callable[..., AbstractAsyncContextManager[Run]]


@pytest.fixture
def pool(tmp_path: Path) -> Start:
    """Starts pools: ``async with pool("workers = 1") as run``, with lines of ``[scan]``."""

    @asynccontextmanager
    async def start(scan: str = "workers = 1", *, network: bool = False, more: str = "") -> AsyncIterator[Run]:
        (tmp_path / "orders.py").write_text(ORDERS.replace("NETWORK", str(network)))
        text = f'plugins = ["./orders.py"]\n[scan]\n{scan}\n{more}'
        config = parse_config(text, "test", tmp_path)
        events: list[Event] = []
        setup = Setup(config.text, config.source, str(config.base))
        servers = None
        if config.core.scan.servers:
            engine = Engine(config)
            engine.listen(events.append)
            servers = Servers.of(engine)
        made = Pool(setup, config.core.scan, events.append, servers)
        try:
            await made.start()
            yield Run(made, config, events, tmp_path)
        finally:
            await made.stop()

    return start
