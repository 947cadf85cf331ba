"""What one delivery costs the relay plugin: CPU of this process for each message, to a sink that only counts.

    ./dev exec python bench/delivery.py
    PYTHONPATH=OTHER/core/src:OTHER/plugins/relay/src ./dev exec python bench/delivery.py    # another tree

Route, connection from the pool, transaction and result are in it; spool, scan and log are not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from attrs import frozen

from mailward import (
    Address,
    Context,
    Delivery,
    Envelope,
    MessageInfo,
    NextHop,
    Recipient,
    Resolver,
    Sender,
    Session,
)
from mailward_relay import Relay, RelaySettings

HEAD = b"From: a@sender.example\r\nSubject: bench\r\n\r\n"
LINE = b"a line of text as it stands in most mail, neither long nor short\r\n"
AT_A_TIME = 4
SENDER = Sender(Address.parse("a@sender.example"))
RECIPIENT = Recipient(Address.parse("b@house.example"))
CLIENT = Session(client_ip="192.0.2.1")


@frozen
class Blob:
    """Content from memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    async def chunks(self, max_bytes: int = 65_536) -> AsyncIterator[bytes]:
        """The bytes in pieces."""
        for start in range(0, len(self.data), max_bytes):
            yield self.data[start : start + max_bytes]


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """A running smtp-sink; its port."""
    program = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("smtp-sink (Postfix) is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    user = ("-u", "postfix") if os.geteuid() == 0 else ()
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


async def deliver(relay: Relay, body: bytes, port: int, messages: int) -> float:
    """Deliver so many messages; CPU milliseconds for each."""
    content, hop = Blob(body), NextHop("smtp", "127.0.0.1", port)
    waiting = iter(range(messages))

    async def worker() -> None:
        for number in waiting:
            message = MessageInfo(f"m{number}", Envelope(), len(body))
            results = await relay.deliver(Delivery(message, SENDER, (RECIPIENT,), hop, content))
            assert results is not None
            assert results[0].status == "delivered", results

    await worker()  # one after the other is no fair start: the pool is warmed by the rest of the loop
    waiting = iter(range(messages))
    started = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_A_TIME)))
    return (time.process_time() - started) / messages * 1000


async def admit(relay: Relay, messages: int) -> float:
    """Ask about so many recipients; CPU microseconds for each."""
    started = time.process_time()
    for _ in range(messages):
        answer = relay.rcpt_to(CLIENT, RECIPIENT)
        if asyncio.iscoroutine(answer):
            answer = await answer
        assert answer is None
    return (time.process_time() - started) / messages * 1e6


async def run(scale: float) -> None:
    """Measure and print."""
    with sink() as port:
        settings = RelaySettings(local={"house.example": f"127.0.0.1:{port}"})
        relay = Relay(settings, Context(name="relay", hostname="gate.example", base=Path(), resolver=Resolver()))
        for name, size, messages in (("4 KB", 4096, 4000), ("50 KB", 51_200, 2000), ("1 MB", 1 << 20, 200)):
            body = (HEAD + LINE * (size // len(LINE) + 1))[:size]
            cost = await deliver(relay, body, port, max(1, int(messages * scale)))
            print(f"{name:>6}: {cost:.3f} ms CPU a message")
        print(f"  RCPT: {await admit(relay, 20_000):.1f} us CPU a recipient")
        await relay.stop()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of messages")
    asyncio.run(run(parser.parse_args().scale))


if __name__ == "__main__":
    main()
