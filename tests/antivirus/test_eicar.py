"""The EICAR rule by itself: what counts as the test file, and its variants (KAV-TST-02)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward_antivirus import Fault, ScanStatus, eicar

TEST = eicar.test_string()


def test_the_string_is_the_68_characters_of_the_standard(mails: Any) -> None:
    assert len(TEST) == 68
    assert mails.eicar == TEST


@pytest.mark.parametrize(
    "content",
    [
        TEST,
        TEST + b"\r\n",
        TEST + b" \t\r\n\x1a" * 12,
        b"\r\n\r\n" + TEST,
        b"\xef\xbb\xbf" + TEST + b"\n",
        b" \xef\xbb\xbf\r\n" + TEST,
        b" " * 64 + TEST + b" " * 60,
    ],
)
def test_the_test_file_with_white_space_around_it_is_infected(content: bytes) -> None:
    report = eicar.judge(content)
    assert (report.status, report.name, report.repaired) == (ScanStatus.INFECTED, "EICAR-Test-File", None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        TEST[:-1],
        TEST[1:],
        TEST + b"x",
        TEST + b"\r\nregards",
        TEST + b" " * 61,
        b" " * 65 + TEST,
        b"See: " + TEST,
        b"NONE-" + TEST,
        TEST.lower(),
        b"CURE-" + TEST[1:],
        b"CURE-CURE-" + TEST,
    ],
)
def test_anything_else_is_clear(content: bytes) -> None:
    assert eicar.judge(content).status is ScanStatus.CLEAR


@pytest.mark.parametrize(
    ("prefix", "status", "fault", "repaired"),
    [
        (b"CORR-", ScanStatus.ERROR, Fault.CONTENT, None),
        (b"ERRO-", ScanStatus.ERROR, Fault.CONTENT, None),
        (b"SUSP-", ScanStatus.SUSPICIOUS, Fault.NONE, None),
        (b"WARN-", ScanStatus.SUSPICIOUS, Fault.NONE, None),
        (b"CURE-", ScanStatus.DISINFECTED, Fault.NONE, b"CURED"),
        (b"DELE-", ScanStatus.INFECTED, Fault.NONE, None),
    ],
)
def test_each_prefix_gives_its_status(prefix: bytes, status: ScanStatus, fault: Fault, repaired: bytes | None) -> None:
    report = eicar.judge(b"\r\n" + prefix + TEST + b"\r\n")
    assert (report.status, report.fault, report.repaired) == (status, fault, repaired)


@given(st.binary(max_size=250))
def test_bytes_that_do_not_hold_the_string_are_clear(content: bytes) -> None:
    assert eicar.judge(content).status is ScanStatus.CLEAR


@given(st.integers(0, 64), st.integers(0, 60))
def test_white_space_up_to_the_limits_never_hides_it(before: int, after: int) -> None:
    assert eicar.judge(b"\n" * before + TEST + b"\n" * after).status is ScanStatus.INFECTED


def test_no_file_of_the_plugin_or_of_its_tests_is_itself_a_hit() -> None:
    folders = [Path(eicar.__file__).parent, Path(__file__).parent]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if TEST in path.read_bytes()]
