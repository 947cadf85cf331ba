"""What all tests share: how patient hypothesis is, and what happens where a real server is not installed."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

# Machines that run tests are of all speeds: how long one example takes says nothing about the code.
# Continuous integration judges a change, so it tries the same examples each time; elsewhere they are new each time.
settings.register_profile(
    "mailward",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("MAILWARD_SAME_EXAMPLES") == "1",
)
settings.load_profile("mailward")


@pytest.fixture(autouse=True)
def _log_as_it_comes() -> Iterator[None]:
    """A test that sets the log up leaves nothing of it to the next one."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """Skip, with the reason, where a program is not installed; fail instead with MAILWARD_REQUIRE_SERVERS=1."""

    def check(*programs: str) -> None:
        missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
        if missing and os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1":
            pytest.fail(f"not installed, and MAILWARD_REQUIRE_SERVERS=1: {', '.join(missing)}")
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")

    return check


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The unpacked source distribution of a package; skipped where the index cannot be reached."""

    def fetch(requirement: str) -> Path:
        cache = os.environ.get("MAILWARD_TEST_CACHE")
        folder = Path(cache) if cache else tmp_path_factory.getbasetemp() / "sdists"
        folder.mkdir(parents=True, exist_ok=True)
        name, _, version = requirement.partition("==")
        found = next(iter(folder.glob(f"{name}-{version}.*")), None)
        if found is None:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            run = subprocess.run(
                [*command, "--no-binary", ":all:", "-d", str(folder), requirement], capture_output=True, text=True
            )
            found = next(iter(folder.glob(f"{name}-{version}.*")), None)
            if found is None:
                problem = f"cannot be fetched: {requirement}: {run.stderr[-200:]}"
                if os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1":
                    pytest.fail(problem)
                pytest.skip(problem)
        target = folder / f"{name}-{version}-files"
        if not target.exists():
            subprocess.run(
                [sys.executable, "-m", "zipfile" if found.suffix == ".zip" else "tarfile", "-e", found, target]
            )
        return target

    return fetch


@pytest.fixture(scope="session")
def wrapped(require: Callable[..., None]) -> list[Path]:
    """One program in 44 wrappings: the files of Debian's clamav-testfiles."""
    require("7zz")
    found = sorted(Path("/usr/share/clamav-testfiles").glob("clam*"))
    if len(found) < 44:
        require("clamav-testfiles")
    return found


@pytest.fixture
def assert_linear() -> Callable[[Callable[[int], object], int], None]:
    """Twice the input costs less than three times the CPU time: the least of several tries, of each size.

    Without the garbage collector, which looks through everything that other tests have left behind.
    What takes quadratic time fails each try; a machine that is busy with other things spoils a few.
    """

    def check(work: Callable[[int], object], size: int) -> None:
        least = [float("inf"), float("inf")]
        for _ in range(12):
            for place, n in enumerate((size, 2 * size)):
                least[place] = min(least[place], _cpu_s(work, n))
            if least[1] < 3 * least[0] + 0.05:
                return
        pytest.fail(f"{size}: {least[0]:.3f} s, twice that: {least[1]:.3f} s")

    return check


def _cpu_s(work: Callable[[int], object], size: int) -> float:
    gc.collect()
    gc.disable()
    start = time.process_time()
    try:
        work(size)
    finally:
        spent = time.process_time() - start
        gc.enable()
    return spent
