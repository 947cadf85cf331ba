"""Answers that are kept: what is kept, for whom, and what damage does."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Context, Message
from mailward_antivirus import Antivirus, AntivirusSettings, Fault, Report, ScanStatus, Trait
from mailward_antivirus.cache import ScanCache
from mailward_antivirus.scanning import scan_all

SIZE = 1 << 20


@pytest.fixture
def cache(tmp_path: Path) -> ScanCache:
    return ScanCache.open(tmp_path / "cache", SIZE)


class Counting:
    """An engine that counts what it is asked."""

    name = "counting"
    at_once = 1

    def __init__(self, *reports: Report, version: str = "1") -> None:
        self.reports = list(reports)
        self.asked = 0
        self.of = version

    async def version(self) -> str:
        return self.of

    async def scan(self, part: Any) -> Report:
        self.asked += 1
        return self.reports[min(self.asked, len(self.reports)) - 1]

    def close(self) -> None:
        pass


def scanned(engine: Any, cache: ScanCache, content: bytes = b"content", name: str = "a") -> list[Report]:
    raw = f"Content-Disposition: attachment; filename={name}\r\n\r\n".encode() + content
    with Message.from_bytes(raw) as message:
        return [hit.report for hit in asyncio.run(scan_all([engine], message.walk(), None, lambda: cache))]


@pytest.mark.parametrize(
    "report",
    [
        Report(),
        Report(ScanStatus.INFECTED, "Win.Test"),
        Report(ScanStatus.SUSPICIOUS, "PUA.Test", "suspicious without a signature"),
        Report(ScanStatus.PROTECTED, "Heuristics.Encrypted.Zip", "encrypted, so not scanned"),
        Report(ScanStatus.INFECTED, "ü" * 40),
    ],
)
def test_an_answer_is_given_again_for_equal_content_whatever_its_name(cache: ScanCache, report: Report) -> None:
    engine = Counting(report)
    first = scanned(engine, cache)
    assert scanned(engine, cache, name="other") == first
    assert engine.asked == 1
    assert scanned(engine, cache, b"other content") == first
    assert engine.asked == 2
    figures = cache.figures()
    assert (figures.hits, figures.misses, figures.stored) == (1, 2, 2)


@pytest.mark.parametrize(
    "report",
    [
        Report(ScanStatus.ERROR, "", "no answer", Fault.CONTENT),
        Report(ScanStatus.ERROR, "", "down", Fault.SCANNER),
        Report(ScanStatus.DISINFECTED, "Test", repaired=b"good"),
        Report(traits=(Trait("macro", 3.0),)),
        Report(ScanStatus.INFECTED, "x" * 200),
    ],
)
def test_errors_repairs_and_what_does_not_fit_are_not_kept(cache: ScanCache, report: Report) -> None:
    engine = Counting(report)
    scanned(engine, cache)
    scanned(engine, cache)
    assert engine.asked == 2
    assert cache.figures().stored == 0


def test_other_definitions_another_engine_and_no_version_are_asked_anew(cache: ScanCache) -> None:
    scanned(Counting(Report()), cache)
    newer = Counting(Report(ScanStatus.INFECTED, "New"), version="2")
    assert scanned(newer, cache)[0].name == "New"
    other = Counting(Report(ScanStatus.INFECTED, "Other"))
    other.name = "other"
    assert scanned(other, cache)[0].name == "Other"
    unkept = Counting(Report(), version="")
    scanned(unkept, cache)
    scanned(unkept, cache)
    assert unkept.asked == 2


def _put(path: Path, start: int) -> None:
    cache = ScanCache.open(path, SIZE)
    for number in range(start, start + 300):
        cache.put(cache.key(f"{number:064x}", "e", "1"), Report(ScanStatus.INFECTED, f"V{number}"))


def test_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    cache = ScanCache.open(path, SIZE)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put, args=(path, start)) for start in (0, 300)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = [cache.get(cache.key(f"{number:064x}", "e", "1")) for number in range(600)]
    assert all(report is None or report.name == f"V{number}" for number, report in enumerate(found))
    assert sum(report is not None for report in found) > 500


def test_the_whole_file_has_its_place_on_the_disk_so_that_writing_to_it_never_lacks_any(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    ScanCache.open(path, 1024 * 1024)
    assert path.stat().st_blocks * 512 >= path.stat().st_size > 1024 * 1024


@pytest.mark.parametrize("damage", [b"", b"x", b"x" * 5000, os.urandom(SIZE + 4096)])
def test_a_file_that_is_no_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "cache"
    path.write_bytes(damage)
    cache = ScanCache.open(path, SIZE)
    key = cache.key("00", "e", "1")
    assert cache.get(key) is None
    cache.put(key, Report())
    assert ScanCache.open(path, SIZE).get(key) == Report()
    assert ScanCache.open(path, 2 * SIZE).get(key) is None


@given(st.integers(0, 127), st.integers(1, 255))
def test_a_damaged_record_is_no_answer(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.unlink(missing_ok=True)
    cache = ScanCache.open(path, SIZE)
    key = cache.key("00", "e", "1")
    cache.put(key, Report(ScanStatus.SUSPICIOUS, "Test", "detail"))
    data = bytearray(path.read_bytes())
    data[data.index(key) + at] ^= flip
    path.write_bytes(data)
    assert ScanCache.open(path, SIZE).get(key) is None


def test_when_the_file_is_full_something_older_gives_way(tmp_path: Path) -> None:
    cache = ScanCache.open(tmp_path / "cache", 64 * 1024)
    for number in range(5000):
        cache.put(cache.key(f"{number:064x}", "e", "1"), Report())
    assert cache.get(cache.key(f"{4999:064x}", "e", "1")) == Report()
    assert (tmp_path / "cache").stat().st_size == 64 * 1024 + 4096


def test_by_default_nothing_is_hashed_and_no_file_is_made(tmp_path: Path, mails: Any, monkeypatch: Any) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("hashed")

    monkeypatch.setattr("mailward.mime.payload.Payload.digest", refuse)
    plugin = Antivirus(AntivirusSettings(), Context(name="antivirus", state=tmp_path))
    with Message.from_bytes(mails.attached(os.urandom(1 << 20))) as message:
        equipment = plugin.supply.refresh()
        assert asyncio.run(scan_all(equipment.engines, message.walk(), None, plugin.supply.cache)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_opened_is_done_without(tmp_path: Path, mails: Any, judge: Any) -> None:
    (tmp_path / "mailward-data/plugins/antivirus").mkdir(parents=True)
    (tmp_path / "mailward-data/plugins/antivirus/scan-cache").mkdir()
    (tmp_path / "own.ndb").write_text("Own:0:*:6e6565646c65\n")
    copy = judge(mails.attached(b"a needle"), f'signatures = ["{tmp_path}/own.ndb"]')
    assert [f.name for f in copy.findings if f.plugin == "antivirus"] == ["Own"]


def test_through_the_engine_the_second_message_is_answered_from_the_file(
    tmp_path: Path, mails: Any, judge: Any
) -> None:
    (tmp_path / "own.ndb").write_text("Own:0:*:6e6565646c65\n")
    settings = f'signatures = ["{tmp_path}/own.ndb"]'
    for content, names in ((b"a needle", ["Own"]), (b"a needle", ["Own"]), (b"hay", []), (b"hay", [])):
        copy = judge(mails.attached(content), settings)
        assert [f.name for f in copy.findings if f.plugin == "antivirus"] == names
    figures = ScanCache.open(tmp_path / "mailward-data/plugins/antivirus/scan-cache", 16 * 1024 * 1024).figures()
    assert (figures.hits, figures.misses) == (5, 3)
    (tmp_path / "own.ndb").write_text("Other:0:*:686179\n")
    copy = judge(mails.attached(b"hay"), settings)
    assert [f.name for f in copy.findings if f.plugin == "antivirus"] == ["Other"]
