"""Who may import whom: no layer one above it, the core no plugin, plugins nothing but the door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src" / "mailward"
LAYERS = ("values", "mime", "hooks", "engine", "spool", "scan", "delivery", "gateway", "supervisor", "cli")
"""Lowest first."""

MODULES = sorted(CORE.rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*/src/mailward_*/**/*.py"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.lineno, node.module or ""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_folder_of_the_core_has_a_layer() -> None:
    folders = {path.name for path in CORE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_imports_from_a_layer_above_its_own(path: Path) -> None:
    layer = path.relative_to(CORE).parts[0]
    if layer.endswith(".py"):
        return  # the door stands outside the layers
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    for line, module in imported(path):
        parts = module.split(".")
        if parts[0] == "mailward":
            where = parts[1] if len(parts) > 1 else "cli"  # the door itself: only from the top
            assert where in allowed, f"{name_of(path)}:{line} ({layer}) imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_core_imports_no_plugin(path: Path) -> None:
    for line, module in imported(path):
        assert not module.startswith("mailward_"), f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", PLUGINS + EXAMPLES, ids=name_of)
def test_plugins_import_the_door_and_themselves_and_nothing_else_of_mailward(path: Path) -> None:
    own = next((part for part in path.parts if part.startswith("mailward_")), "")
    for line, module in imported(path):
        if module.split(".")[0].startswith("mailward"):
            assert module == "mailward" or module.split(".")[0] == own, f"{name_of(path)}:{line} imports {module}"


def test_what_plugins_import_from_the_door_is_offered_there() -> None:
    import mailward

    for path in PLUGINS + EXAMPLES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "mailward":
                names = {alias.name for alias in node.names}
                assert names <= set(mailward.__all__), f"{name_of(path)}:{node.lineno}: {names - set(mailward.__all__)}"


def test_the_door_offers_what_it_says() -> None:
    import mailward

    assert list(mailward.__all__) == sorted(set(mailward.__all__), key=mailward.__all__.index)
    assert all(hasattr(mailward, name) for name in mailward.__all__)


def test_the_door_imports_at_run_time_what_the_type_checker_sees() -> None:
    import mailward

    tree = ast.parse((CORE / "__init__.py").read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If) and not isinstance(node.test, ast.UnaryOp))
    seen = {a.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert seen == mailward._HOMES
    assert set(seen) == set(mailward.__all__)


def test_importing_the_door_alone_loads_nothing_of_the_core() -> None:
    script = "import sys, mailward; print(*(name for name in sys.modules if name.startswith('mailward.')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
