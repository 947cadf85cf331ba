"""A c-icap of the tests' own, with virus_scan asking the tests' clamd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from attrs import frozen

_MODULES = "/usr/lib/x86_64-linux-gnu/c_icap"


@frozen
class RunningIcap:
    """A c-icap and its address."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"icap://127.0.0.1:{self.port}/virus_scan"

    @property
    def settings(self) -> str:
        return f'icap = ["{self.url}"]'

    def stop(self) -> None:
        """End it with its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()


def start_icap(folder: Path, clamd_socket: Path) -> RunningIcap:
    """c-icap on a port of its own; skips where it or its module is not installed."""
    binary = shutil.which("c-icap", path=f"{os.environ['PATH']}:/usr/sbin")
    modules = next(iter(Path("/usr/lib").glob("*/c_icap")), Path(_MODULES))
    if binary is None or not (modules / "virus_scan.so").is_file():
        required = os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1"
        (pytest.fail if required else pytest.skip)("c-icap with virus_scan is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "virus_scan.conf").write_text(
        "Service antivirus_module virus_scan.so\n"
        "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\n"
        "virus_scan.SendPercentData 0\nvirus_scan.PassOnError off\nvirus_scan.MaxObjectSize 100M\n"
        f"virus_scan.DefaultEngine clamd\nModule common clamd_mod.so\nclamd_mod.ClamdSocket {clamd_socket}\n"
    )
    (folder / "c-icap.conf").write_text(
        f"PidFile {folder}/c-icap.pid\nCommandsSocket {folder}/c-icap.ctl\nTimeout 30\nKeepAliveTimeout 60\n"
        "StartServers 1\nMaxServers 1\nMinSpareThreads 4\nMaxSpareThreads 8\nThreadsPerChild 8\n"
        f"Port 127.0.0.1:{port}\nTmpDir {folder}\nMaxMemObject 131072\nPipelining on\n"
        f"ModulesDir {modules}\nServicesDir {modules}\nLoadMagicFile /etc/c-icap/c-icap.magic\nRemoteProxyUsers off\n"
        f"ServerLog {folder}/server.log\nAccessLog {folder}/access.log\nDebugLevel 0\nServerAdmin a@example.org\n"
        "ServerName test\nTemplateDir /usr/share/c_icap/templates/\nTemplateDefaultLanguage en\n"
        f"Include {folder}/virus_scan.conf\n"
    )
    process = subprocess.Popen(
        [binary, "-N", "-f", str(folder / "c-icap.conf")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    running = RunningIcap(port, process)
    deadline = time.monotonic() + 30
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            running.stop()
            pytest.fail("c-icap did not start")
        time.sleep(0.05)
    return running


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"OPTIONS icap://127.0.0.1/virus_scan ICAP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            return connection.recv(64).startswith(b"ICAP/1.0 200")
    except OSError:
        return False
