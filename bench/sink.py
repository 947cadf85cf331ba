"""A next hop that only counts: SMTP by bulk reads, messages thrown away.

``python bench/sink.py PORT COUNTER [chunking]`` keeps the number of messages in the first 8 bytes of COUNTER;
``chunking`` has it offer CHUNKING (RFC 3030), as most mail servers do.
smtp-sink looks at every byte and is slower than what is measured here.
"""

from __future__ import annotations

import asyncio
import mmap
import sys
from pathlib import Path
from typing import cast

_END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, counter: mmap.mmap, extensions: bytes) -> None:
        self._counter = counter
        self._extensions = extensions
        self._buffer = bytearray()
        self._data = False
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        buffer = self._buffer
        if self._missing:
            taken = min(self._missing, len(buffer))
            del buffer[:taken]
            self._missing -= taken
            if self._missing:
                return False
            self._count()
            return True
        if self._data:
            end = buffer.find(_END, max(len(buffer) - 300_000, 0))
            if end < 0:
                del buffer[: max(len(buffer) - 4, 0)]
                return False
            del buffer[: end + 5]
            self._data = False
            self._count()
            return True
        end = buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(buffer[:end])
        word = line[:4].upper()
        del buffer[: end + 2]
        if word == b"BDAT":
            self._missing = int(line.split()[1])
            return True
        if word == b"DATA":
            self._data = True
            # the end may follow at once: leave the CRLF that it begins with
            buffer[:0] = b"\r\n"
        replies = {
            b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n" + self._extensions + b"250 SIZE\r\n",
            b"DATA": b"354 go\r\n",
            b"QUIT": b"221 bye\r\n",
        }
        self._transport.write(replies.get(word, b"250 ok\r\n"))
        if word == b"QUIT":
            self._transport.close()
        return True

    def _count(self) -> None:
        number = int.from_bytes(self._counter[:8], "big") + 1
        self._counter[:8] = number.to_bytes(8, "big")
        self._transport.write(b"250 2.0.0 counted\r\n")


async def main(port: int, file: Path, extensions: bytes) -> None:
    """Serve until killed; ``file`` holds the count."""
    file.write_bytes(bytes(8))
    with file.open("r+b") as handle, mmap.mmap(handle.fileno(), 8) as counter:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Sink(counter, extensions), "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


if __name__ == "__main__":
    offered = b"250-CHUNKING\r\n" if "chunking" in sys.argv[3:] else b""
    serving = main(int(sys.argv[1]), Path(sys.argv[2]), offered)
    try:
        import uvloop

        uvloop.run(serving)
    except ImportError:
        asyncio.run(serving)
