"""The looks at disk and memory, without a program around them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import define, field

from mailward.gateway.link import Levels
from mailward.supervisor.crew import Orders
from mailward.supervisor.folder import StateFolder
from mailward.supervisor.health import Health, free_memory_percent
from mailward.supervisor.supervisor import Supervisor


@define
class Plan:
    """What health looks at of the plan."""

    state: str
    temp: str
    disk: Levels = field(factory=lambda: Levels(0, 0))
    memory: Levels = field(factory=lambda: Levels(0, 0))


@define
class Program:
    """What health knows of the supervisor."""

    plan: Plan
    folder: StateFolder
    orders: Orders = field(factory=Orders)
    told: list[tuple[str, dict[str, Any]]] = field(factory=list)
    thrown: int = 0

    def tell(self, event: str, **fields: Any) -> None:
        self.told.append((event, fields))

    def throw(self) -> None:
        self.thrown += 1


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    (tmp_path / "spool" / "0" / "damaged").mkdir(parents=True)
    (tmp_path / "temp").mkdir()
    folder = StateFolder(tmp_path)
    yield Program(Plan(str(tmp_path), str(tmp_path / "temp")), folder)
    folder.close()


def test_nothing_is_told_where_all_is_well(program: Program) -> None:
    health = Health(cast(Supervisor, program))
    health.look()
    health.look()
    assert program.told == []
    assert program.thrown == 0


def test_a_folder_that_cannot_be_used_and_a_damaged_file_are_told_once(program: Program, tmp_path: Path) -> None:
    health = Health(cast(Supervisor, program))
    os.rmdir(tmp_path / "temp")
    damaged = tmp_path / "spool" / "0" / "damaged" / "m1"
    damaged.touch()
    health.look()
    health.look()
    assert [(event, fields["path"]) for event, fields in program.told] == [
        ("file_access_failed", str(tmp_path / "temp")),
        ("file_access_failed", str(damaged)),
    ]
    (tmp_path / "temp").mkdir()
    health.look()
    os.rmdir(tmp_path / "temp")
    health.look()
    assert len(program.told) == 3


def test_a_shortage_is_ordered_once_and_taken_back(program: Program) -> None:
    health = Health(cast(Supervisor, program))
    program.plan.memory = Levels(100, 100)
    health.look()
    health.look()
    assert program.orders.short == ("memory",)
    assert program.thrown == 1
    assert [fields["refusing"] for _, fields in program.told] == [True]
    program.plan.memory = Levels(0, 0)
    health.look()
    assert program.orders.short == ()
    assert program.thrown == 2
    assert program.told[-1][0] == "resource_recovered"


def test_free_memory_is_a_share() -> None:
    assert 0 < free_memory_percent() <= 100


def test_a_state_folder_that_was_replaced_is_told_once(program: Program, tmp_path: Path) -> None:
    health = Health(cast(Supervisor, program))
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    for folder in ("spool/0/damaged", "temp"):
        (tmp_path / folder).mkdir(parents=True)
    health.look()
    health.look()
    assert [(name, fields["path"], fields["problem"]) for name, fields in program.told] == [
        (
            "file_access_failed",
            str(tmp_path),
            "was removed or replaced while the program runs; stop it and start it again",
        )
    ]
