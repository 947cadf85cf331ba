"""The pool: messages in, verdicts out, whatever becomes of the processes between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from mailward import Custom, Hold, LoadExceeded, Suspect, Verdict
from mailward.scan.stats import PoolStats
from mailward.values.errors import ConfigError, ScanError
from mailward.values.event import WorkerDied

from .conftest import Run, Start, envelope


async def until(look: Callable[[], object], what: str) -> None:
    for _ in range(4000):
        if look():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


def held(verdict: Verdict) -> bool:
    return [copy.action for copy in verdict.copies] == [Hold()]


def test_a_message_is_judged_wherever_its_body_is(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            size = "len(self.message.raw)"
            for body_bytes in (0, 3000, 300_000, 3_000_000):
                body = b"x" * body_bytes
                expected = str(len(f"Subject: {size}\r\n\r\n") + body_bytes)
                assert await run.answer(size, body, file=True) == expected
                if body_bytes < 1_000_000:
                    assert await run.answer(size, body) == expected
            stats = run.pool.stats()
            assert (stats.judged, stats.tries, stats.deaths, stats.idle, stats.busy) == (7, 7, 0, 1, 0)

    asyncio.run(main())


def test_a_frame_larger_than_the_socket_buffer_arrives(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            assert await run.answer("hash(bytes(self.message.raw)[-900000:]) != 0", b"y" * 1_000_000) == "True"
            assert await run.answer("len(self.message.raw) > 1000000", b"y" * 1_000_000) == "True"

    asyncio.run(main())


def test_an_answer_larger_than_the_socket_buffer_arrives(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            assert await run.answer("'z' * 2_000_000") == repr("z" * 2_000_000)

    asyncio.run(main())


def test_a_file_that_is_gone_costs_no_process(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            with pytest.raises(ScanError, match="file") as caught:
                await run.pool.judge(envelope("x"), 10, None, run.folder / "no such file")
            assert caught.value.crashes == 0
            assert await run.answer("1 + 1") == "2"
            assert run.pool.stats().deaths == 0

    asyncio.run(main())


@pytest.mark.parametrize("order", ["os._exit(3)", "os.abort()", "ctypes.string_at(0)", "bytearray(2**45)"])
def test_three_deaths_are_hold(pool: Start, order: str) -> None:
    async def main() -> None:
        async with pool() as run:
            before = run.pool.pids
            verdict = await run.judge(order)
            assert held(verdict)
            (finding,) = verdict.copies[0].findings
            assert "orders.scan_message" in finding.detail
            assert [event.during.plugin for event in run.of(WorkerDied)] == 3 * ["orders"]
            (suspect,) = run.of(Suspect)
            assert (suspect.message_id, suspect.crashes) == (verdict.id, 3)
            assert await run.answer("1 + 1") == "2"
            await until(lambda: len(run.pool.pids) == 1, "one worker again")
            assert run.pool.pids != before
            stats = run.pool.stats()
            assert (stats.deaths, stats.suspects, stats.failed, stats.judged) == (3, 1, 0, 1)

    asyncio.run(main())


@pytest.mark.parametrize("known", [1, 2, 3])
def test_deaths_that_the_caller_knows_of_count(pool: Start, known: int) -> None:
    async def main() -> None:
        async with pool() as run:
            assert held(await run.judge("os._exit(3)", crashes=known))
            assert len(run.of(WorkerDied)) == 3 - known

    asyncio.run(main())


def test_one_death_is_mended_by_the_next_try(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            assert await run.answer("self.once('a', lambda: os._exit(1))") == "None"
            assert len(run.of(WorkerDied)) == 1
            assert not run.of(Suspect)

    asyncio.run(main())


def test_a_suspect_is_alone_and_its_process_serves_nobody_else(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            first = await run.answer("os.getpid()")
            second = await run.answer("self.once('a', lambda: os._exit(1)) or os.getpid()")
            await until(lambda: len(run.pool.pids) == 1, "one worker again")
            third = await run.answer("os.getpid()")
            assert len({first, second, third}) == 3

    asyncio.run(main())


def test_a_hang_costs_the_deadline_and_is_remembered_until_hold(pool: Start) -> None:
    async def main() -> None:
        async with pool('workers = 1\ndeadline_s = 1\nslow_after_s = "1 h"') as run:
            hang = "sum(range(10**18))"
            for crashes in (1, 2):
                with pytest.raises(ScanError, match="deadline") as caught:
                    await run.judge(hang, b"the very same")
                assert caught.value.crashes == crashes
            with pytest.raises(ScanError, match="deadline") as caught:
                await run.judge(hang, b"one like it..")
            assert caught.value.crashes == 1
            assert held(await run.judge(hang, b"the very same"))
            assert run.pool.stats().hung == 4
            assert await run.answer("1 + 1") == "2"

    asyncio.run(main())


def test_a_slow_message_steps_aside_and_others_do_not_wait(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 3\nslow_after_s = 0.1") as run:
            slow = [asyncio.create_task(run.answer(f"self.wait('go{n}') or os.nice(0)")) for n in range(2)]
            await asyncio.sleep(0)
            assert await run.answer("1 + 1") == "2"
            assert run.pool.stats().aside == 2
            for n in range(2):
                (run.folder / f"go{n}").touch()
            assert await asyncio.gather(*slow) == ["19", "19"]
            assert await run.answer("os.nice(0)") == "0"
            stats = run.pool.stats()
            assert (stats.slow, stats.aside, stats.recycled, stats.deaths) == (2, 0, 0, 0)

    asyncio.run(main())


def test_messages_wait_in_line_and_are_served_in_order(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 1") as run:
            order: list[int] = []

            async def one(n: int) -> None:
                await run.judge("self.wait('go')" if n == 0 else "1")
                order.append(n)

            tasks = []
            for n in range(5):
                tasks.append(asyncio.create_task(one(n)))
                await asyncio.sleep(0)
            await until((run.folder / "go.begun").exists, "the first scan")
            assert run.pool.stats().waiting == 4
            (run.folder / "go").touch()
            await asyncio.gather(*tasks)
            assert order == [0, 1, 2, 3, 4]
            assert run.pool.stats().waiting_max == 4

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next_messages(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 1") as run:
            first = asyncio.create_task(run.judge("self.twice()"))
            await until((run.folder / "go.begun").exists, "the first scan")
            second = asyncio.create_task(run.answer("'the second'"))
            await until(lambda: run.pool.stats().waiting == 1, "a message in line")
            (run.folder / "go").touch()
            assert held(await first)
            assert await second == "'the second'"
            (death,) = run.of(WorkerDied)
            assert "does not belong" in death.reason

    asyncio.run(main())


def test_the_child_of_a_plugin_that_forks_does_not_answer(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1") as run:
            assert int(await run.answer("os.fork()")) > 0
            for n in range(20):
                assert await run.answer(f"{n}") == str(n)
            assert run.pool.stats().deaths == 0

    asyncio.run(main())


def test_a_recipient_that_is_named_twice_is_judged_twice(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            message = attrs.evolve(envelope("m"), recipients=envelope("m").recipients * 2)
            raw = b"Subject: 1\r\n\r\n"
            verdict = await run.pool.judge(message, len(raw), raw, None)
            assert [copy.recipients for copy in verdict.copies] == [message.recipients]

    asyncio.run(main())


def test_a_full_line_turns_away_at_once_and_load_is_told_once(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 1\nmax_waiting = 3\nload_threshold = 1") as run:
            tasks = [asyncio.create_task(run.judge("self.wait('go')")) for _ in range(4)]
            await until((run.folder / "go.begun").exists, "the first scan")
            with pytest.raises(ScanError, match="busy"):
                await run.judge("1")
            assert run.of(LoadExceeded) == [LoadExceeded(waiting=2, threshold=1)]
            (run.folder / "go").touch()
            await asyncio.gather(*tasks)
            stats = run.pool.stats()
            assert (stats.turned_away, stats.overloads, stats.failed, stats.judged) == (1, 1, 1, 4)

    asyncio.run(main())


def test_who_waits_longer_than_the_deadline_gives_up(pool: Start) -> None:
    async def main() -> None:
        async with pool('workers = 1\nsessions = 1\ndeadline_s = 1\nslow_after_s = "1 h"') as run:
            first = asyncio.create_task(run.judge("sum(range(10**18))"))
            await asyncio.sleep(0)
            with pytest.raises(ScanError, match="no scan process became free"):
                await run.judge("1")
            with pytest.raises(ScanError, match="hangs"):
                await first

    asyncio.run(main())


def test_a_caller_that_leaves_leaves_no_answer_behind(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 1") as run:
            running = asyncio.create_task(run.judge("self.wait('go')"))
            waiting = asyncio.create_task(run.judge("os._exit(1)"))
            await until((run.folder / "go.begun").exists, "the first scan")
            running.cancel()
            waiting.cancel()
            last = asyncio.create_task(run.answer("1 + 1"))
            await asyncio.sleep(0)
            (run.folder / "go").touch()
            assert await last == "2"
            assert run.pool.stats().deaths == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("scan", "order"),
    [("recycle_after = 3", "1"), ('recycle_growth_bytes = "20 MB"', "KEPT.append(b'x' * 30_000_000)")],
)
def test_worn_processes_are_replaced(pool: Start, scan: str, order: str) -> None:
    async def main() -> None:
        async with pool(f"workers = 1\n{scan}") as run:
            before = run.pool.pids
            for _ in range(3):
                # a large message has the process measure itself
                await run.judge(order, b"x" * 1_100_000, file=True)
            await until(lambda: run.pool.pids and run.pool.pids != before, "another process")
            stats = run.pool.stats()
            assert stats.recycled >= 1
            assert stats.deaths == 0

    asyncio.run(main())


def test_a_worn_process_that_does_not_end_is_ended(pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.scan.crew.FAREWELL_S", 0.3)

    async def main() -> None:
        async with pool("workers = 1\nrecycle_after = 1") as run:
            (before,) = run.pool.pids
            await run.judge("self.leave_a_task()")
            await until(lambda: not Path(f"/proc/{before}").exists(), "the end of the process")
            assert await run.answer("1") == "1"
            assert run.pool.stats().deaths == 0

    asyncio.run(main())


def test_an_idle_process_that_is_ended_is_replaced(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 2") as run:
            (first, second) = run.pool.pids
            os.kill(first, signal.SIGKILL)
            await until(lambda: len(run.of(WorkerDied)) == 1, "the event")
            await until(lambda: len(run.pool.pids) == 2 and first not in run.pool.pids, "another process")
            assert second in run.pool.pids
            (event,) = run.of(WorkerDied)
            assert "SIGKILL" in event.reason

    asyncio.run(main())


def test_a_template_that_is_ended_takes_no_message_with_it(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 2") as run:
            tasks = [asyncio.create_task(run.answer(f"self.once('w{n}', lambda: self.wait('go'))")) for n in range(2)]
            await until(lambda: all((run.folder / name).exists() for name in ("w0", "w1", "go.begun")), "both scans")
            os.kill(run.pool.template_pid, signal.SIGKILL)
            assert await asyncio.gather(*tasks) == ["None", "None"]
            assert not run.of(Suspect)
            (run.folder / "go").touch()

    asyncio.run(main())


def test_a_template_that_hangs_is_replaced(pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailward.scan.forge.BIRTH_S", 2.0)

    async def main() -> None:
        async with pool() as run:
            before = run.pool.template_pid
            os.kill(before, signal.SIGSTOP)
            os.kill(run.pool.pids[0], signal.SIGKILL)
            await until(lambda: run.pool.template_pid != before, "another template process")
            assert await run.answer("1") == "1"
            await until(lambda: not Path(f"/proc/{before}").exists(), "the end of the one that hung")

    asyncio.run(main())


def test_events_of_plugins_in_scan_processes_reach_the_gateway(pool: Start) -> None:
    async def main() -> None:
        async with pool() as run:
            verdict = await run.judge("self.emit()")
            (event,) = run.of(Custom)
            assert event.fields == (("id", verdict.id),)
            await run.judge("1 / 0")
            await run.judge("1")
            # observers are the gateway's: told in the scan process too, they would hear everything twice
            assert not (run.folder / "observed").exists()

    asyncio.run(main())


def test_what_plugins_log_in_scan_processes_comes_out_of_the_gateway_in_its_form(
    pool: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not through a file that the process writes: those are limited in size, and a log grows."""

    async def main() -> None:
        async with pool(more='[log]\nformat = "json"\nlevel = "warning"') as run:
            await run.judge("self.context.log.info('not this') or self.context.log.warning('told', number=7)")

    asyncio.run(main())
    (line,) = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["number"], told["plugin"]) == ("told", 7, "orders")


def test_what_is_in_progress_fails_when_the_pool_stops(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1\nsessions = 1") as run:
            tasks = [asyncio.create_task(run.judge("self.wait('go')")) for _ in range(3)]
            await until((run.folder / "go.begun").exists, "the first scan")
            pids = run.pool.pids
            await run.pool.stop()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == 3 * [ScanError]
            assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
            with pytest.raises(ScanError, match="stops"):
                await run.judge("1")

    asyncio.run(main())


def test_a_configuration_that_is_bad_is_told_at_the_start(pool: Start) -> None:
    async def main() -> None:
        async with pool("workers = 1", more="[orders]\nno_such_key = 1"):
            pass

    with pytest.raises(ConfigError, match="no_such_key"):
        asyncio.run(main())


def test_an_account_that_there_is_not_is_told_at_the_start(pool: Start) -> None:
    async def main() -> None:
        async with pool('workers = 1\nuser = "no-such-account"'):
            pass

    with pytest.raises(ConfigError, match="no-such-account"):
        asyncio.run(main())


def test_plugins_with_threads_get_processes_that_are_not_forked(pool: Start, tmp_path: Path) -> None:
    threaded = (
        "import threading, time\nfrom mailward import Plugin\n"
        "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"
        "class Threaded(Plugin):\n    pass\n"
    )
    (tmp_path / "threaded.py").write_text(threaded)

    async def main() -> None:
        async with pool("workers = 1") as run:
            forked = await run.answer("threading.active_count()")
        text = run.config.text.replace('["./orders.py"]', '["./orders.py", "./threaded.py"]')
        setup = attrs.evolve(run.pool._crew.supply.setup, text=text)
        alone = Run(type(run.pool)(setup, run.config.core.scan, run.events.append), run.config, run.events, tmp_path)
        await alone.pool.start()
        try:
            assert forked == "1"
            assert await alone.answer("threading.active_count()") == "2"
            assert held(await alone.judge("os._exit(1)"))
            assert await alone.answer("1 + 1") == "2"
        finally:
            await alone.pool.stop()

    asyncio.run(main())


def test_figures_of_gateways_add_up() -> None:
    one = PoolStats(judged=3, scan_s=1.5, scan_s_max=0.5, tries=3, waiting_max=7)
    both = one.plus(PoolStats(judged=2, scan_s=0.5, scan_s_max=0.25, tries=2, waiting_max=9))
    assert both == PoolStats(judged=5, scan_s=2.0, scan_s_max=0.5, tries=5, waiting_max=9)
    assert both.scan_s_mean == 0.4
    assert PoolStats().scan_s_mean == PoolStats().wait_s_mean == 0
