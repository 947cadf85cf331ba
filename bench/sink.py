"""A next hop that only counts: SMTP by bulk reads, messages thrown away.

``python bench/sink.py PORT COUNTER`` keeps the number of messages in the first 8 bytes of COUNTER.
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

    def __init__(self, counter: mmap.mmap) -> None:
        self._counter = counter
        self._buffer = bytearray()
        self._data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        buffer = self._buffer
        if self._data:
            end = buffer.find(_END, max(len(buffer) - 300_000, 0))
            if end < 0:
                del buffer[: max(len(buffer) - 4, 0)]
                return False
            del buffer[: end + 5]
            self._data = False
            number = int.from_bytes(self._counter[:8], "big") + 1
            self._counter[:8] = number.to_bytes(8, "big")
            self._transport.write(b"250 2.0.0 counted\r\n")
            return True
        end = buffer.find(b"\r\n")
        if end < 0:
            return False
        word = bytes(buffer[:4]).upper()
        del buffer[: end + 2]
        if word == b"DATA":
            self._data = True
            # the end may follow at once: leave the CRLF that it begins with
            buffer[:0] = b"\r\n"
        replies = {
            b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n",
            b"DATA": b"354 go\r\n",
            b"QUIT": b"221 bye\r\n",
        }
        self._transport.write(replies.get(word, b"250 ok\r\n"))
        if word == b"QUIT":
            self._transport.close()
        return True


async def main(port: int, file: Path) -> None:
    """Serve until killed; ``file`` holds the count."""
    file.write_bytes(bytes(8))
    with file.open("r+b") as handle, mmap.mmap(handle.fileno(), 8) as counter:
        server = await asyncio.get_running_loop().create_server(lambda: Sink(counter), "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
    except ImportError:
        asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
