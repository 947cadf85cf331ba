"""A thousand clients that say nothing cost little memory."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN

IDLE = 1000
MAX_BYTES = 100 * 1024 * 1024
MAX_GROWTH_BYTES = 30 * 1024 * 1024


def _resident_bytes(pid: int | str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_a_thousand_idle_connections_fit_in_memory(gateway: Callable[..., Gateway], hop: Hop) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * IDLE:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        up = gateway(hop, gateway={"max_connections": IDLE + 10})
        before = sum(map(_resident_bytes, up.gateways()))
        with ExitStack() as stack:
            for _ in range(IDLE):
                idle = stack.enter_context(socket.create_connection(("127.0.0.1", up.port), 30))
                assert idle.recv(4096).startswith(b"220 ")
                idle.sendall(b"EHLO idle.example\r\n")
                assert idle.recv(4096).endswith(b"HELP\r\n")
            assert up.send(CLEAN, "reader@house.example").code == 250
            grown = sum(map(_resident_bytes, up.gateways())) - before
            assert 0 < grown < MAX_GROWTH_BYTES, f"{grown:,} bytes more"
            assert max(map(_resident_bytes, up.gateways())) < MAX_BYTES
            assert hop.wait_for("reader@house.example").body == CLEAN
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
