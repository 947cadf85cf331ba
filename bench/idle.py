"""Memory of connections that say nothing: ``python bench/idle.py [NUMBER]``.

Prints the memory of all processes of the gateway before and with so many connections, each after EHLO.
"""

from __future__ import annotations

import resource
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import targets


def resident_mb(target: targets.Target) -> float:
    """What all processes of the gateway hold together, what they share counted once, in MiB."""
    return sum(float(process.memory_full_info().pss) for process in target.processes()) / 1024**2


def main(number: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailward-bench-")))
        target = stack.enter_context(targets.mailward(folder / "mailward", 9, f"max_connections = {number + 10}"))
        before = resident_mb(target)
        for _ in range(number):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", target.port), 30))
            idle.recv(4096)
            idle.sendall(b"EHLO idle.example\r\n")
            idle.recv(4096)
        after = resident_mb(target)
    each_kb = (after - before) * 1024 / number
    print(f"{number} idle connections: {before:.1f} MB before, {after:.1f} MB with them, {each_kb:.1f} KB each")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
