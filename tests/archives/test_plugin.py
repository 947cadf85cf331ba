"""The plugin itself: settings, what it says it lacks, and that nothing it lacks goes unsaid."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from mailward import ConfigError, Finding, Health, Kind
from mailward_archives import Archives, ArchivesSettings
from mailward_archives.settings import FORMATS as NAMES
from mailward_archives.sevenzip import SevenZip
from mailward_archives.table import BY_TYPE, FORMATS

from .conftest import HEAD, mail


def test_an_unknown_format_is_an_error_that_names_the_known_ones(judged: Any) -> None:
    with pytest.raises(ConfigError, match="'tgz' is no format; allowed: tar, gzip"):
        judged([HEAD], settings='without = ["tgz"]')


def test_every_format_of_the_table_has_a_name_in_the_settings() -> None:
    assert {one.name for one in FORMATS} <= set(NAMES)
    assert len(BY_TYPE) == sum(len(one.types) for one in FORMATS)


def test_what_is_missing_is_checked_and_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, judged: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = list(Archives(ArchivesSettings()).check())
    assert [check.name for check in checks] == ["the 7-Zip program (7zz or 7z)"]
    assert checks[0].health is Health.WARNING
    assert "arj, chm, image" in checks[0].detail
    arj, chm = judged([mail("x.arj", b"\x60\xea" + bytes(60)), mail("x.chm", b"ITSF" + bytes(90))])
    assert {(finding.kind, finding.rule) for finding in (*arj, *chm)} == {(Kind.UNCHECKED, "unopened")}


def test_a_disc_image_that_is_not_read_is_reported(judged: Any) -> None:
    image = bytes(32768) + b"\x01CD001\x01" + bytes(4000)
    (findings,) = judged([mail("x.iso", image)], settings='without = ["iso"]')
    assert ("archives", "unopened") in {(finding.plugin, finding.rule) for finding in findings}


def test_the_program_meets_its_limits(packed: Any, part_of: Any) -> None:
    part = part_of(packed("x.arj", "arj", "a", "x.arj", "a.txt"))
    items = list(SevenZip("arj", "arj", memory_bytes=1024 * 1024)(part))
    assert [item.rule for item in items if isinstance(item, Finding)] == ["unopened"]


def test_names_reach_the_program_as_names(packed: Any, opened: Any) -> None:
    files = {"-y": b"dash", "@list": b"at", "a*": b"star", "ab": b"letters"}
    data = packed("x.wim", "7zz", "a", "-bd", "x.wim", "./-y", "./@list", "./a*", files=files)
    parts = opened("x.wim", data).parts
    assert [parts[name] for name in ("-y", "@list", "a*", "ab")] == [b"dash", b"at", b"star", b"letters"]


@pytest.mark.parametrize("kind", ["wim", "zip"])
def test_names_that_the_program_shows_otherwise_hide_nothing(packed: Any, opened: Any, kind: str) -> None:
    """A name with a line break is listed as another one, and asked for by that there is nothing."""
    files = {"a\nSize = 0\nb.exe": b"MZ one", "c\x01d.exe": b"MZ two", "e.txt": b"three"}
    data = packed(f"x.{kind}", "7zz", "a", "-bd", f"-t{kind}", f"x.{kind}", *files, files=files)
    if kind == "zip":
        data = packed("x.zip", "7zz", "a", "-bd", "-mm=Deflate64", "x.zip", *files, files=files)
    result = opened("x", data)
    assert set(files.values()) <= set(result.parts.values())
    single = packed(f"y.{kind}", "7zz", "a", "-bd", f"-t{kind}", f"y.{kind}", "a\nSize = 0\nb.exe")
    assert b"MZ one" in opened("y", single).parts.values()


def test_many_members_come_in_one_stream(packed: Any, opened: Any) -> None:
    files = {f"{number}.txt": b"%d" % number * 9 for number in range(60)}
    data = packed("x.wim", "7zz", "a", "-bd", "x.wim", "*.txt", files=files)
    parts = opened("x.wim", data).parts
    assert all(parts[name] == content for name, content in files.items())


def test_a_large_archive_is_not_held_in_memory(packed: Any, part_of: Any) -> None:
    noise = bytes(byte * byte * 7 % 253 for byte in range(65_536)) * 256
    part = part_of(packed("x.tar", "tar", "cf", "x.tar", "a.bin", files={"a.bin": noise}))
    members = Archives(ArchivesSettings()).unpack(part)
    tracemalloc.start()
    size = sum(len(chunk) for member in members for chunk in member.chunks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == len(noise)
    assert peak < 4 * 1024 * 1024


def test_a_pdf_that_may_hold_files_is_reported_where_it_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, opened: Any
) -> None:
    from mailward_archives import pdf

    monkeypatch.setattr(pdf, "pikepdf", None)
    assert opened("x.pdf", b"%PDF-1.4\n1 0 obj<</Type/EmbeddedFile>>endobj\n").rules == {"unopened"}
    packed = b"%PDF-1.5\n1 0 obj<</Type/ObjStm/N 1>>endobj\n"
    assert opened("x.pdf", packed).rules == {"unopened"}
    assert opened("x.pdf", packed, without=("pdf",)).rules == set()
    assert opened("x.pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n").rules == set()
