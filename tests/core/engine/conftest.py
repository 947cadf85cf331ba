"""Engines built from plugin classes that a test writes down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from mailward import Engine, Plugin

Build = Callable[..., Engine]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Build]:
    """``engine({"mine": MyPlugin}, "[mine]…")``: an engine whose plugin list has these classes under these names."""
    made: list[str] = ["house"]
    sys.modules["house"] = ModuleType("house")

    def build(plugins: Mapping[str, type[Plugin]], toml: str = "") -> Engine:
        for name, kind in plugins.items():
            module = ModuleType(f"house.{name}")
            module.__dict__["Made"] = kind
            sys.modules[module.__name__] = module
            made.append(module.__name__)
        listed = ", ".join(f'"house.{name}:Made"' for name in plugins)
        path = tmp_path / "mailward.toml"
        path.write_text(f"plugins = [{listed}]\n{toml}", encoding="utf-8")
        return Engine.from_config(path)

    yield build
    for name in made:
        sys.modules.pop(name, None)
