"""What clamd's answers mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward_antivirus import Fault, ScanStatus
from mailward_antivirus.clamd_reply import parse


@pytest.mark.parametrize(
    ("reply", "status", "name"),
    [
        (b"stream: OK", ScanStatus.CLEAR, ""),
        (b"stream: Test.Eicar.UNOFFICIAL FOUND", ScanStatus.INFECTED, "Test.Eicar.UNOFFICIAL"),
        (b"stream: A name with FOUND FOUND", ScanStatus.INFECTED, "A name with FOUND"),
        (b"stream: Win.Test(44d88612fea8a8f36de82e1278abb02f:68) FOUND", ScanStatus.INFECTED, "Win.Test"),
        (b"stream: Heuristics.Encrypted.Zip FOUND", ScanStatus.PROTECTED, "Heuristics.Encrypted.Zip"),
        (b"stream: Heuristics.OLE2.ContainsMacros FOUND", ScanStatus.SUSPICIOUS, "Heuristics.OLE2.ContainsMacros"),
        (b"stream: PUA.Win.Packer FOUND", ScanStatus.SUSPICIOUS, "PUA.Win.Packer"),
    ],
)
def test_answers_about_content(reply: bytes, status: ScanStatus, name: str) -> None:
    report = parse(reply)
    assert (report.status, report.name, report.fault) == (status, name, Fault.NONE)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"INSTREAM size limit exceeded. ERROR", Fault.LIMIT),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", Fault.LIMIT),
        (b"stream: Heuristics.Limits.Exceeded FOUND", Fault.LIMIT),
        (b"stream: Can't allocate memory ERROR", Fault.SCANNER),
        (b"stream: Can't create temporary file ERROR", Fault.SCANNER),
        (b"stream: Time limit reached ERROR", Fault.CONTENT),
        (b"UNKNOWN COMMAND", Fault.SCANNER),
        (b"", Fault.SCANNER),
        (b"stream: ok", Fault.SCANNER),
        (b"stream: OK ", Fault.SCANNER),
        (b"stream: OK\n", Fault.SCANNER),
        (b"1: stream: OK", Fault.SCANNER),
        (b"stream: \x00 FOUND", Fault.SCANNER),
        (b"HTTP/1.1 200 OK", Fault.SCANNER),
    ],
)
def test_answers_that_are_no_answer_are_never_clear(reply: bytes, fault: Fault) -> None:
    report = parse(reply)
    assert (report.status, report.fault) == (ScanStatus.ERROR, fault)
    assert report.detail


@given(st.one_of(st.binary(), st.binary().map(lambda tail: b"stream: " + tail)))
def test_only_the_exact_ok_is_clear(reply: bytes) -> None:
    assert (parse(reply).status is ScanStatus.CLEAR) == (reply == b"stream: OK")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_every_name_found_is_reported(name: str) -> None:
    report = parse(f"stream: {name} FOUND".encode())
    assert report.status is not ScanStatus.CLEAR
    assert report.name
