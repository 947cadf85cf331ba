"""Every hook has a test of its own, named after it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailward.hooks.specs import hooks

TESTS = Path(__file__).parent
_TEST = re.compile(r"^(?:async )?def (test_hook_\w+)", re.MULTILINE)
FOUND = [name for path in sorted(TESTS.rglob("test_*.py")) for name in _TEST.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("hook", [info.name for info in hooks()])
def test_every_hook_has_a_test_of_its_own(hook: str) -> None:
    assert any(name.startswith(f"test_hook_{hook}") for name in FOUND), f"write a test that begins test_hook_{hook}"
