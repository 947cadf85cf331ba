"""YARA rules by yara-x."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mailward import Kind, Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.yara import Yara

RULES = """
rule Own_Virus { strings: $a = "needle" condition: $a }
rule Own_Doubt : suspicious { meta: name = "Doubtful" strings: $a = "doubt" condition: $a }
rule Own_Other { meta: status = "suspicious" strings: $a = "other" condition: $a }
"""


def leaf(content: bytes) -> Part:
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "own.yar"
    path.write_text(RULES)
    return path


def scanned(path: Path, content: bytes, **more: Any) -> Report:
    return asyncio.run(Yara.load([path], **{"timeout_s": 10, "max_bytes": 1 << 20, **more}).scan(leaf(content)))


def test_a_rule_that_matches_is_an_infection_and_one_that_suspects_says_so(rules: Path) -> None:
    report = scanned(rules, b"hay needle hay")
    assert (report.status, report.name) == (ScanStatus.INFECTED, "Own_Virus")
    assert "own.yar" in report.detail
    assert "$a at 4" in report.detail
    assert scanned(rules, b"doubt").status is ScanStatus.SUSPICIOUS
    assert scanned(rules, b"doubt").name == "Doubtful"
    assert scanned(rules, b"other").status is ScanStatus.SUSPICIOUS
    both = scanned(rules, b"doubt needle")
    assert (both.status, both.name) == (ScanStatus.INFECTED, "Own_Virus")
    assert "also Own_Doubt" in both.detail
    assert scanned(rules, b"harmless") == Report()


def test_through_the_whole_engine(mails: Any, judge: Any, rules: Path) -> None:
    copy = judge(mails.attached(mails.zipped(b"hay needle", "x"), "a.zip"), f'yara = ["{rules}"]')
    found = [(f.kind, f.rule, f.name, f.part) for f in copy.findings if f.plugin == "antivirus"]
    assert found == [(Kind.INFECTED, "yara", "Own_Virus", "2/x")]


def test_content_over_the_limit_is_unchecked(rules: Path) -> None:
    report = scanned(rules, bytes((1 << 20) + 1))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.LIMIT)


def test_rules_that_come_to_no_end_leave_the_content_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "slow.yar"
    path.write_text(
        "rule slow { condition: for all i in (0..1000000) : "
        "( for all j in (0..1000000) : ( uint8(i) + uint8(j) >= 0 ) ) }"
    )
    report = scanned(path, os.urandom(2_000_000)[: 1 << 20], timeout_s=1)
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.CONTENT)
    assert "no end" in report.detail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule x { condition: nonsense }", "unknown identifier"),
        ("rule x {", "cannot be compiled"),
        ('include "/etc/passwd"', "include statements not allowed"),
    ],
)
def test_rules_that_do_not_compile_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yar"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Yara.load([path], 10, 1000)


def test_missing_files_and_a_missing_yara_x_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"none\.yar cannot be read"):
        Yara.load([tmp_path / "none.yar"], 10, 1000)
    monkeypatch.setitem(sys.modules, "yara_x", None)
    with pytest.raises(ValueError, match=r"install mailward-antivirus\[yara\]"):
        Yara.load([], 10, 1000)
