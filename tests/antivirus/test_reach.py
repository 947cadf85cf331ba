"""How far the engines see: Debian's 44 containers of one harmless program (clamav-testfiles)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path("/usr/share/clamav-testfiles")
NAME = "Test.Clam"
UNREACHED_BY_DIGEST = {
    "clam-aspack.exe", "clam-mew.exe", "clam-pespin.exe", "clam-petite.exe", "clam-upack.exe", "clam-upx.exe",
    "clam-wwpack.exe", "clam-yc.exe", "clam_cache_emax.tgz",
}  # fmt: skip
"""Another content: programs that are packed, and one with something in front. To know these is clamd's work."""


@pytest.fixture(scope="module")
def files(require: Any) -> list[Path]:
    import os

    if not FOLDER.is_dir():
        reason = "clamav-testfiles is not installed"
        (pytest.fail if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1" else pytest.skip)(reason)
    return sorted(FOLDER.iterdir())


@pytest.fixture
def known(tmp_path: Path, files: list[Path]) -> Path:
    content = (FOLDER / "clam.exe").read_bytes()
    path = tmp_path / "clam.hdb"
    path.write_text(f"{hashlib.md5(content).hexdigest()}:{len(content)}:{NAME}\n")
    return path


def found(mails: Any, judge: Any, path: Path, settings: str) -> set[str]:
    raw = mails.attached(path.read_bytes(), path.name)
    copy = judge(raw, settings, plugins='["archives", "antivirus"]')
    return {f.name.removesuffix(".UNOFFICIAL") for f in copy.findings if str(f.kind) == "infected"}


def test_one_digest_finds_the_program_in_its_containers(mails: Any, judge: Any, known: Path, files: list[Path]) -> None:
    settings = f'signatures = ["{known}"]\nheuristics = "off"'
    missed = {path.name for path in files if found(mails, judge, path, settings) != {NAME}}
    print(f"by digest alone: {len(files) - len(missed)} of {len(files)}; missed: {sorted(missed)}")
    assert missed == UNREACHED_BY_DIGEST & {path.name for path in files}


def test_with_clamd_the_program_is_found_in_all_of_them(
    mails: Any, judge: Any, known: Path, files: list[Path], testfiles_clamd: Any
) -> None:
    settings = f'{testfiles_clamd.unix}\nsignatures = ["{known}"]\nheuristics = "off"'
    missed = {path.name for path in files if found(mails, judge, path, settings) != {NAME}}
    assert missed == set()
