"""The scan process: ``python -m mailward.scan.worker SOCKET_FD PROGRESS_FD``.

It reads jobs from its socket, one at a time, judges them, and answers. It holds no listening
socket and no queue; what it is given is a body or the path of one.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

from mailward.engine.bridge import TimerBridge
from mailward.engine.config import parse_config
from mailward.engine.engine import Engine
from mailward.engine.loop import run
from mailward.hooks.markers import Place
from mailward.mime import Message
from mailward.scan.limits import confine
from mailward.scan.progress import Progress
from mailward.scan.protocol import Answer, Job, Ready, Setup, frame, read_frame
from mailward.values.errors import ConfigError, ScanError
from mailward.values.wire import dump, load


async def _answer(engine: Engine, job: Job, body: bytes) -> Answer:
    limits = engine.config.core.limits
    try:
        if job.path:
            message = Message.from_file(Path(job.path), limits, 0, job.size_bytes)
        else:
            message = Message.from_bytes(body, limits)
        with message:
            return Answer(await engine.judge(job.envelope, message))
    except ScanError as error:
        return Answer(reason=error.reason, detail=error.detail)
    except MemoryError:
        return Answer(reason="memory", detail="the scan process is at its memory limit")
    except OSError as error:
        return Answer(reason="file", detail=f"{type(error).__name__}: {error.strerror}")
    except Exception as error:  # a fault of our own: no verdict, and the gateway answers 451
        return Answer(reason="error", detail=f"{type(error).__name__}: {error}")


async def work(connection: socket.socket, progress: Progress) -> int:
    """Serve jobs until the gateway closes the connection; the exit status of the process."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=2**20)
    setup = load((await read_frame(reader))[0], Setup)
    try:
        config = parse_config(setup.text, setup.source, Path(setup.base))
        engine = Engine(config, place=Place.SCAN, bridge=TimerBridge(), progress=progress.note)
        await engine.start()
    except ConfigError as error:
        writer.write(frame(dump(Ready(str(error)))))
        await writer.drain()
        return 2
    core = config.core
    confine(core.scan.memory_bytes, max(core.limits.max_total_bytes, core.gateway.max_message_bytes))
    writer.write(frame(dump(Ready())))
    await writer.drain()
    while True:
        try:
            json, body = await read_frame(reader)
        except ScanError:
            break
        answer = await _answer(engine, load(json, Job), body)
        progress.clear()
        writer.write(frame(dump(answer)))
        await writer.drain()
    await engine.stop()
    return 0


def main() -> None:
    """Run the scan process on the descriptors that the command line names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.setblocking(False)
    try:
        sys.exit(run(work(connection, Progress(int(sys.argv[2])))))
    except ConnectionError:  # the gateway went away before it heard what there was to say
        sys.exit(1)


if __name__ == "__main__":
    main()
