"""Debian's clamav-testfiles: one program in 44 wrappings, found by one signature of it and our own unpacking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailward import Kind

from .conftest import mail

SIGNATURE = "aa15bcf478d165efd2065190eb473bcb:544:Test.Program\n"
MISSING = {
    "clam-pespin.exe": "the packer looks for its functions in the tables of a loaded kernel32, which is not there",
    "clam-yc.exe": "the packer goes on in a handler of the exception that it causes, which the emulator does not run",
}
"""What is not found, and why."""
AT_LEAST = 40


def test_the_program_is_found_in_at_least_40_of_44_wrappings(wrapped: list[Path], judged: Any) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("autoit_ripper")
    raws = [mail(path.name, path.read_bytes()) for path in wrapped]
    results = judged(raws, SIGNATURE, "emulate = true", "max_depth = 24")
    missed = {
        path.name
        for path, findings in zip(wrapped, results, strict=True)
        if not any(finding.kind is Kind.INFECTED for finding in findings)
    }
    assert len(wrapped) - len(missed) >= AT_LEAST
    assert missed <= set(MISSING)
    failures = [finding for findings in results for finding in findings if finding.rule == "failure"]
    assert failures == []


@pytest.mark.parametrize("name", ["clam.mail", "clam.exe.mbox.base64", "clam.exe.mbox.uu"])
def test_mails_among_them_are_found_as_the_mail_itself(wrapped: list[Path], judged: Any, name: str) -> None:
    (path,) = [one for one in wrapped if one.name == name]
    (findings,) = judged([path.read_bytes()], SIGNATURE)
    assert Kind.INFECTED in {finding.kind for finding in findings}


def test_without_the_emulator_everything_but_packed_programs_is_found(wrapped: list[Path], judged: Any) -> None:
    pytest.importorskip("autoit_ripper")
    raws = [mail(path.name, path.read_bytes()) for path in wrapped]
    results = judged(raws, SIGNATURE, "", "max_depth = 24")
    missed = {
        path.name: {finding.rule for finding in findings}
        for path, findings in zip(wrapped, results, strict=True)
        if not any(finding.kind is Kind.INFECTED for finding in findings)
    }
    packers = ("aspack", "mew", "pespin", "petite", "upack", "upx", "wwpack", "yc")
    assert set(missed) <= {f"clam-{packer}.exe" for packer in packers}
    assert all("packed" in rules for rules in missed.values())
