"""``mailward scan-server`` as a child process."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from harness.config import Table, merged, toml
from harness.gateway import PROGRAM
from harness.wait import PATIENCE_S, free_port, until


def make_key(folder: Path) -> Path:
    """A key file in this folder."""
    path = folder / "scan.key"
    path.write_text("0123456789abcdefghijklmnopqrstuvwxyz")
    path.chmod(0o600)
    return path


class ScanServer:
    """One scan server on a port of its own, with the plugins and settings that a gateway of the tests has."""

    def __init__(self, folder: Path, settings: Table, key: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        issued = trustme.CA().issue_cert("localhost")
        issued.private_key_pem.write_to_path(folder / "private.pem")
        issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        self.name = f"127.0.0.1:{free_port()}"
        own = {
            "scan": {"workers": 1},
            "log": {"format": "json"},
            "scan_server": {
                "listen": [self.name],
                "certificate": "cert.pem",
                "private_key": "private.pem",
                "key": str(key),
            },
        }
        self.key = key
        self.config = folder / "scan-server.toml"
        self.config.write_text(toml(merged(own, settings)))
        self.log_file = folder / "log.jsonl"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ScanServer:
        """Start it and wait until it listens."""
        with self.log_file.open("ab") as log:
            seen = log.tell()
            command = [*PROGRAM, "scan-server", "-c", str(self.config)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: b'"ready"' in self.log_file.read_bytes()[seen:], "the scan server", story=self.story)
        return self

    def story(self) -> str:
        """The end of its log, for failure messages."""
        return self.log_file.read_text()[-4000:]

    def status(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What the command says of it."""
        command = [*PROGRAM, "scan-server", "--status", self.name, "--key", str(self.key), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def figures(self) -> dict[str, Any]:
        """Its figures."""
        answer = self.status("--json")
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout)["stats"])

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def open_scan_server(folder: Path, settings: Table, key: Path) -> Iterator[ScanServer]:
    """A scan server for the length of a block."""
    server = ScanServer(folder, settings, key)
    try:
        yield server.start()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
