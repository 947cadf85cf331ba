from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.engine.processors import quotas

CODE = "from mailward.engine.processors import processors; print(processors())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_one_that_may_run_on_one_processor_has_one() -> None:
    def confine() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    run = subprocess.run([sys.executable, "-c", CODE], preexec_fn=confine, capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def group(tmp_path: Path, own: str, files: dict[str, str]) -> list[float]:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return list(quotas(tmp_path, tmp_path / "own"))


def test_the_quota_of_a_group_and_of_those_above_it_counts(tmp_path: Path) -> None:
    own = "0::/system.slice/mailward.service\n"
    files = {
        "system.slice/mailward.service/cpu.max": "250000 100000\n",
        "system.slice/cpu.max": "max 100000\n",
        "cpu.max": "400000 100000\n",
    }
    assert group(tmp_path, own, files) == [2.5, 4.0]


def test_a_container_sees_its_group_as_the_first(tmp_path: Path) -> None:
    assert group(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n"}) == [0.5]


def test_groups_of_the_first_version_count(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert group(tmp_path, "1:cpu:/\n", files) == [1.5]
    assert group(tmp_path, "1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n"}) == []


@pytest.mark.parametrize("text", ["", "max\n", "max 100000\n", "much 100000\n", "1 0\n"])
def test_what_says_nothing_is_no_quota(tmp_path: Path, text: str) -> None:
    assert group(tmp_path, "0::/\nnonsense\n", {"cpu.max": text}) == []
