"""Root is given up; process 1 of a container collects orphans and ends when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.config import merged, toml
from harness.gateway import BASE, PROGRAM, Gateway, children_of
from harness.hop import Hop
from harness.mails import CLEAN
from harness.wait import PATIENCE_S, free_port, until

Start = Callable[..., Gateway]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def status_of(pid: int | str) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def program() -> tuple[str, ...]:
    """The program, run by an interpreter that a user without rights can run as well."""
    places = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
    code = f"import sys; sys.path[:0] = {places!r}; import mailward.gateway.process, mailward_relay"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([python, "-c", code], user="nobody", capture_output=True, cwd="/", check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return ("env", f"PYTHONPATH={':'.join(places)}", python, "-m", "mailward.cli.main")
    pytest.skip("no Python here that user nobody can run with the packages of this one")


def test_started_by_root_every_process_becomes_the_user_and_a_reload_still_works(
    hop: Hop, program: tuple[str, ...]
) -> None:
    # the folders above the one of the test are closed to others
    folder = Path("/tmp") / f"mailward-privileges-{os.getpid()}"
    folder.mkdir(mode=0o755)
    up = None
    try:
        user = {"user": "nobody", "gateways": 1, "watch_config": False}
        up = Gateway(folder, {"relay": {"default": hop.route}, "process": user})
        up.program = program
        up.start()
        for pid in (up.running.pid, *up.descendants()):
            found = status_of(pid)
            assert set(found["Uid"].split()) != {"0"}, found
            assert "0" not in found["Groups"].split(), found
            assert found["NoNewPrivs"] == "1", found
            assert found["CapEff"].strip("0") == "", found
        assert up.state.stat().st_uid != 0
        assert up.state.stat().st_mode & 0o077 == 0
        assert up.send(CLEAN, "reader@house.example").code == 250
        hop.wait_for("reader@house.example")
        up.running.send_signal(signal.SIGHUP)
        up.logged("configuration_changed")
        assert up.send(CLEAN, "after@house.example").code == 250
        assert up.stop() == 0
    finally:
        if up is not None and up.process is not None:
            up.process.kill()
            up.process.wait()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_state_folder_of_somebody_else_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "mailward-data").mkdir()
    config = tmp_path / "mailward.toml"
    config.write_text(toml(merged(BASE, {"process": {"user": "nobody"}})))
    done = subprocess.run(
        [*PROGRAM, "serve", "-c", str(config)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 2
    assert "chown" in done.stderr


def test_as_process_1_it_collects_orphans_and_ends_in_good_order(tmp_path: Path) -> None:
    config, port = tmp_path / "mailward.toml", free_port()
    config.write_text(toml(merged(BASE, {"gateway": {"listen": [f"127.0.0.1:{port}"]}})))
    with (tmp_path / "log").open("wb") as log:
        command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *PROGRAM, "serve", "-c", str(config)]
        outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def story() -> str:
        return (tmp_path / "log").read_text()

    try:
        until(lambda: '"ready"' in story() or outer.poll() is not None, "the program to be ready", story=story)
        if outer.poll() is not None and "unshare" in story():
            pytest.skip(f"no namespaces here: {story()}")
        (first,) = children_of(outer.pid)
        inside = ["nsenter", "--target", first, "--pid", "--mount"]
        # a shell that leaves a child behind: it becomes a child of process 1, and ends
        subprocess.run([*inside, "sh", "-c", "(sleep 0.2 &)"], check=True)
        gateways = [pid for pid in children_of(first) if b"mailward.gateway" in _line(pid)]
        until(lambda: children_of(first) == gateways, "the orphan to be collected", story=story)
        assert not [pid for pid in children_of(first) if status_of(pid)["State"].startswith("Z")]
        os.kill(int(first), signal.SIGTERM)
        assert outer.wait(PATIENCE_S) == 0
        assert '"stopped"' in story()
    finally:
        outer.kill()
        outer.wait()


def _line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
