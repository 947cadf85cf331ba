"""What plugins start in scan processes, and how it ends: with the process that it was started in, and no sooner."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mailward.scan import orphans

from .conftest import Run, Start
from .test_pool import until

End = Callable[[Run], Awaitable[object]]


def lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def daemon(run: Run, name: str = "daemon") -> int:
    return int((run.folder / name).read_text())


async def gone(pid: int) -> None:
    await until(lambda: not lives(pid), f"the end of process {pid}")


async def killed(run: Run) -> None:
    (pid,) = run.pool.pids
    os.kill(pid, signal.SIGKILL)


async def dies(run: Run) -> None:
    await run.answer("self.once('died', lambda: os._exit(1))")


async def replaced(run: Run) -> None:
    await run.answer("1")


async def template_killed(run: Run) -> None:
    os.kill(run.pool.template_pid, signal.SIGKILL)


async def template_stopped_and_keeper_told(run: Run) -> None:
    """As where the gateway is killed while its template process stands still."""
    keeper = int(Path(f"/proc/{run.pool.template_pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(run.pool.template_pid, signal.SIGSTOP)
    os.kill(keeper, signal.SIGTERM)


async def pool_stopped(run: Run) -> None:
    await run.pool.stop()


@pytest.mark.parametrize(
    "way", [killed, dies, replaced, template_killed, template_stopped_and_keeper_told, pool_stopped]
)
def test_what_a_scan_process_has_left_ends_with_it(pool: Start, way: End) -> None:
    async def main() -> None:
        async with pool("workers = 1\nrecycle_after = " + ("2" if way is replaced else "100")) as run:
            await run.answer("self.daemon('daemon')")
            left = daemon(run)
            assert lives(left)
            assert os.getsid(left) not in (os.getsid(run.pool.template_pid), os.getsid(0))
            await way(run)
            await gone(left)
            if way is not pool_stopped:
                await until(lambda: run.pool.pids, "another process")
                assert await run.answer("1") == "1"

    asyncio.run(main())


def test_what_an_orphan_has_left_ends_too(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            await run.answer("self.nested('daemon')")
            left = daemon(run)
            await killed(run)
            await gone(left)

    asyncio.run(main())


def test_what_others_have_started_stays(pool: Start, tmp_path: Path) -> None:
    """Orphans of a scan process that lives, and a helper that a plugin has started once for all of them."""
    (tmp_path / "helped").touch()

    async def main() -> None:
        async with pool("workers = 2") as run:
            orders = [f"(self.wait('go'), self.daemon('{name}'), os.getpid())[2]" for name in ("one", "other")]
            tasks = [asyncio.create_task(run.answer(order)) for order in orders]
            await until(lambda: run.pool.stats().busy == 2, "both to be at work")
            (run.folder / "go").touch()
            one, other = map(int, await asyncio.gather(*tasks))
            assert one != other
            os.kill(one, signal.SIGKILL)
            await gone(daemon(run, "one"))
            await until(lambda: len(run.pool.pids) == 2, "another process")
            assert lives(daemon(run, "other"))
            assert lives(int((run.folder / "helper").read_text()))
            os.kill(other, signal.SIGKILL)
            await gone(daemon(run, "other"))
            helper = int((run.folder / "helper").read_text())
            assert lives(helper)
        await gone(helper)

    asyncio.run(main())


def test_a_process_in_which_much_was_left_is_replaced(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            (first,) = run.pool.pids
            await run.answer("1")
            await run.answer("[KEPT.append(subprocess.Popen(['sleep', '600'])) for _ in range(70)] and 0")
            pids = [int(pid) for pid in (await run.answer("[one.pid for one in KEPT]")).strip("[]").split(",")]
            assert len(pids) >= 70
            for _ in range(40):
                if run.pool.pids != (first,):
                    break
                await run.answer("1")
            await until(lambda: first not in run.pool.pids, "the process to be replaced")
            for pid in pids:
                await gone(pid)
            assert run.pool.stats().recycled == 1

    asyncio.run(main())


def test_children_are_told_apart_from_those_that_are_spared() -> None:
    """In a process of its own: this one has children of the tests."""
    code = """
import subprocess, time
from mailward.scan import orphans
spared, other = subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "600"])
assert orphans.children() == (spared.pid, other.pid)
while orphans.end({spared.pid}):
    time.sleep(0.005)
assert orphans.children() == (spared.pid,)
assert spared.poll() is None
spared.kill()
spared.wait()
assert not orphans.end(())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_the_kernel_tells_of_no_children_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise FileNotFoundError(path)

    with subprocess.Popen(["sleep", "600"]) as child:
        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert not orphans.end(())
        assert child.poll() is None
        child.kill()
