"""What a scan process cannot do."""

from __future__ import annotations

import ast
import asyncio
import errno
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailward.mime.message import MAPPED_FROM_BYTES
from mailward.scan.limits import CpuLimit

from .conftest import Start


def ask(pool: Start, order: str, scan: str = "workers = 1", **how: bool) -> str:
    async def main() -> str:
        async with pool(scan, **how) as run:
            assert run.pool.lacking == ()
            return await run.answer(order)

    return asyncio.run(main())


@pytest.fixture
def port(tmp_path: Path) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        yield


def test_there_is_no_network_in_it(pool: Start, port: None) -> None:
    assert int(ask(pool, "connect()")) == errno.ENETUNREACH


def test_there_is_where_a_plugin_needs_it(pool: Start, port: None) -> None:
    assert int(ask(pool, "connect()", network=True)) == 0


def test_it_holds_no_descriptor_of_the_gateway(pool: Start, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    fd = os.open(tmp_path / "secret", os.O_RDONLY)
    os.set_inheritable(fd, True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        inode = os.readlink(f"/proc/self/fd/{server.fileno()}")
        held = ask(pool, "descriptors()")
    os.close(fd)
    assert "secret" not in held
    assert inode not in held
    assert held.count("socket:") <= 4  # its own, and those by which its event loop wakes itself


@pytest.mark.parametrize("name", ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
def test_it_has_no_capability(pool: Start, name: str) -> None:
    assert set(eval(ask(pool, f"status('{name}')"))) == {"0"}


def test_it_gets_no_new_privileges(pool: Start) -> None:
    assert ask(pool, "status('NoNewPrivs')") == "'1'"


def test_it_becomes_the_account_that_is_set(pool: Start, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to be root")
    nobody = pwd.getpwnam("nobody")
    order = "(os.getuid(), os.getgid(), os.getgroups())"
    assert ask(pool, order, 'workers = 1\nuser = "nobody"') == repr((nobody.pw_uid, nobody.pw_gid, []))


def test_its_memory_file_size_core_and_time_are_limited(pool: Start) -> None:
    order = "[resource.getrlimit(x) for x in (resource.RLIMIT_AS, resource.RLIMIT_CORE)]"
    assert ask(pool, order, 'workers = 1\nmemory_bytes = "300 MB"') == repr([(300 * 2**20,) * 2, (0, 0)])
    assert int(ask(pool, "resource.getrlimit(resource.RLIMIT_FSIZE)[0]")) < 2**31


def test_its_processor_time_is_renewed_message_by_message(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    used = [0.0]
    monkeypatch.setattr("mailward.scan.limits.time.process_time", lambda: used[0])
    monkeypatch.setattr("mailward.scan.limits.resource.setrlimit", lambda kind, pair: limits.append(pair[0]))
    limit = CpuLimit(60.0)
    for used[0] in (0.0, 10.0, 61.0, 62.0, 200.0):
        limit.renew()
        assert 60 <= limits[-1] - used[0] <= 122
    assert limits == [122, 184, 322]


def test_a_process_that_loops_by_itself_is_ended_by_the_kernel() -> None:
    code = "from mailward.scan.limits import CpuLimit; CpuLimit(0).renew(); sum(range(10**18))"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGXCPU


def test_a_body_that_comes_as_a_file_is_not_copied_and_cannot_be_written(pool: Start) -> None:
    async def main() -> str:
        async with pool() as run:
            order = "[type(self.message.raw).__name__, memoryview(self.message.raw).readonly]"
            return await run.answer(order, b"x" * MAPPED_FROM_BYTES, file=True)

    assert asyncio.run(main()) == "['memoryview', True]"


CONFINED = """
import os, socket
from mailward.scan import limits
{before}
lacking = limits.confine(2**30, 2**20, "", network=False)
connected = socket.socket().connect_ex(("127.0.0.1", {port})) == 0
status = open("/proc/self/status").read()
print((os.getuid(), lacking, connected, "CapEff:\\t0000000000000000" in status))
"""


def confined(port: int, *wrapper: str, before: str = "") -> tuple[int, tuple[str, ...], bool, bool]:
    code = CONFINED.format(port=port, before=before)
    command = [*wrapper, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    uid, lacking, connected, bare = ast.literal_eval(done.stdout)
    return uid, lacking, connected, bare


def test_one_that_is_not_roots_leaves_the_network_by_a_user_namespace(require: Callable[..., None]) -> None:
    require("setpriv")
    if os.geteuid() != 0:
        pytest.skip("needs to be root, in order to be somebody else")
    capability = "-all,+dac_read_search"  # to read this interpreter, wherever it is installed
    account = ["--reuid", "12345", "--regid", "12345", "--clear-groups"]
    kept = [f"--bounding-set={capability}", f"--inh-caps={capability}", f"--ambient-caps={capability}"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = confined(server.getsockname()[1], "setpriv", *account, *kept)
    assert found == (12345, (), False, True)


def test_what_the_system_refuses_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = "limits._libc.unshare = lambda flags: -1"
        _, lacking, connected, bare = confined(server.getsockname()[1], before=before)
    assert (connected, bare) == (True, True)
    (words,) = lacking
    assert words.startswith("network: cannot be left")
