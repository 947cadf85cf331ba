"""What systemd is told (sd_notify): ready, reloading, stopping, alive."""

from __future__ import annotations

import os
import socket
import time

_PATIENCE_S = 1.0


class Notify:
    """Speaks to the service manager; says nothing where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        pid = os.environ.get("WATCHDOG_PID", "")
        timeout_us = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
        self.alive_every_s = timeout_us / 2_000_000 if pid in ("", str(os.getpid())) else 0.0

    def ready(self, status: str) -> None:
        """The program accepts mail."""
        self._say("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """A new configuration is being tried."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The program is about to end."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """The event loop turns; to be said every ``alive_every_s`` seconds where that is not 0."""
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(_PATIENCE_S)  # whoever does not read must not stop the one who looks after all others
            try:
                out.connect(self._address)
                out.send("\n".join(lines).encode())
            except OSError:
                return  # nobody listens: that is no reason to stop
