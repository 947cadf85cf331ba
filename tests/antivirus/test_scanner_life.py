"""Real scanners that stop, hang, come back and take over from each other while messages go through: never clean."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scanners.icap import RunningIcap, start_icap

from mailward import Copy, Engine, Envelope, Kind

SAMPLE = b"a sample that only the test's clamd knows; " * 3


@asynccontextmanager
async def engine(folder: Path, settings: str) -> AsyncIterator[Callable[[bytes], Any]]:
    path = folder / "mailward.toml"
    path.write_text(f'plugins = ["antivirus"]\n[antivirus]\nheuristics = "off"\nscan_cache_bytes = 0\n{settings}\n')
    async with Engine.from_config(path) as made:

        async def judge(raw: bytes) -> Copy:
            (copy,) = (await made.judge(Envelope(id="m"), raw)).copies
            return copy

        yield judge


def verdict(copy: Copy) -> str:
    """``found``, ``unchecked`` or ``clean``, as the plugin sees it."""
    kinds = {f.kind for f in copy.findings if f.plugin == "antivirus"}
    return "found" if Kind.INFECTED in kinds else "unchecked" if Kind.UNCHECKED in kinds else "clean"


@pytest.fixture
def clamds(tmp_path: Path, make_clamd: Any) -> Iterator[list[Any]]:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(make_clamd(tmp_path / name))
    yield made
    for one in made:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)
        one.stop()


def test_one_clamd_takes_over_from_another_and_with_none_nothing_is_clean(
    tmp_path: Path, mails: Any, clamds: list[Any]
) -> None:
    first, second = clamds
    bad, good = mails.attached(SAMPLE), mails.attached(b"harmless")
    settings = f'clamd = ["unix:{first.path}", "unix:{second.path}"]\nclamd_timeout_s = 20'

    async def run() -> None:
        async with engine(tmp_path, settings) as judge:
            assert [verdict(await judge(raw)) for raw in (bad, good, bad)] == ["found", "clean", "found"]
            first.stop()
            assert [verdict(await judge(raw)) for raw in (bad, good, bad)] == ["found", "clean", "found"]
            second.stop()
            copies = [await judge(raw) for raw in (bad, good)]
            assert [verdict(copy) for copy in copies] == ["unchecked", "unchecked"]
            assert {copy.action.name for copy in copies} == {"defer"}

    asyncio.run(run())


def test_a_clamd_that_hangs_gives_way_and_one_that_is_alone_is_unchecked_until_it_wakes(
    tmp_path: Path, mails: Any, clamds: list[Any]
) -> None:
    first, second = clamds
    bad, good = mails.attached(SAMPLE), mails.attached(b"harmless")

    async def run() -> None:
        both = f'clamd = ["unix:{first.path}", "unix:{second.path}"]\nclamd_timeout_s = 1'
        async with engine(tmp_path, both) as judge:
            assert verdict(await judge(bad)) == "found"
            os.kill(first.process.pid, signal.SIGSTOP)
            assert verdict(await judge(bad)) == "found"
            assert verdict(await judge(good)) == "clean"
        alone = f'clamd = ["unix:{first.path}"]\nclamd_timeout_s = 1'
        async with engine(tmp_path, alone) as judge:
            assert verdict(await judge(good)) == "unchecked"
            os.kill(first.process.pid, signal.SIGCONT)
            seen = "unchecked"
            for _ in range(60):
                seen = verdict(await judge(bad))
                if seen != "unchecked":
                    break
                await asyncio.sleep(0.2)
            assert seen == "found"

    asyncio.run(run())


def test_a_clamd_that_is_started_again_is_used_again(tmp_path: Path, mails: Any, make_clamd: Any) -> None:
    (tmp_path / "one").mkdir()
    clamd = make_clamd(tmp_path / "one")
    bad = mails.attached(SAMPLE)

    async def run() -> None:
        nonlocal clamd
        async with engine(tmp_path, f'clamd = ["unix:{clamd.path}"]\nclamd_timeout_s = 20') as judge:
            assert verdict(await judge(bad)) == "found"
            clamd.stop()
            assert verdict(await judge(bad)) == "unchecked"
            (tmp_path / "again").mkdir()
            fresh = make_clamd(tmp_path / "again")
            clamd.path.unlink(missing_ok=True)
            clamd.path.symlink_to(fresh.path)
            assert verdict(await judge(bad)) == "found"
            clamd = fresh

    try:
        asyncio.run(run())
    finally:
        clamd.stop()


@pytest.fixture
def own_icap(tmp_path: Path, clamds: list[Any]) -> Iterator[RunningIcap]:
    (tmp_path / "icap").mkdir()
    running = start_icap(tmp_path / "icap", clamds[0].path)
    yield running
    running.stop()


def test_an_icap_service_that_loses_its_scanner_or_stops_leaves_nothing_clean(
    tmp_path: Path, mails: Any, clamds: list[Any], own_icap: RunningIcap
) -> None:
    bad, good = mails.attached(SAMPLE), mails.attached(b"harmless")

    async def run() -> None:
        async with engine(tmp_path, f"{own_icap.settings}\nicap_timeout_s = 5") as judge:
            assert [verdict(await judge(raw)) for raw in (bad, good)] == ["found", "clean"]
            clamds[0].stop()
            assert verdict(await judge(bad)) != "clean"
            own_icap.stop()
            copy = await judge(bad)
            assert (verdict(copy), copy.action.name) == ("unchecked", "defer")

    asyncio.run(run())
