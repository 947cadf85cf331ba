"""Small commands are there at once: they load nothing that they do not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset(
    (
        *("aiosmtpd", "aiosmtplib", "ahocorasick", "cattrs", "dns", "jinja2", "ldap3", "libarchive", "msoffcrypto"),
        *("oletools", "pefile", "pikepdf", "pluggy", "re2", "rich", "selectolax", "structlog", "unicorn", "yara_x"),
    )
)
LISTS = frozenset(("cattrs", "rich", "structlog"))
"""What it takes to read settings and entries, and to print a table."""

_SCRIPT = """
import json, sys
from mailward.cli.main import cli
try:
    cli(sys.argv[1:], prog_name="mailward")
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(folder: Path, *words: str) -> set[str]:
    """All modules that a command has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("--version",), frozenset()),
        (("serve", "--help"), frozenset()),
        (("ctl", "status"), frozenset()),
        (("ctl", "pause"), frozenset()),
        (("send", "--help"), frozenset(("rich",))),
        (("queue", "--help"), frozenset(("rich",))),
        (("check", "--help"), frozenset(("rich",))),
        (("queue", "list"), LISTS),
        (("queue", "list", "--older", "2 d", "--sender", "*@example.com"), LISTS),
        (("queue", "stats"), LISTS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_small_command_loads_no_heavy_library_and_no_plugin(
    tmp_path: Path, words: tuple[str, ...], allowed: frozenset[str]
) -> None:
    found = loaded(tmp_path, *words)
    assert found & HEAVY <= allowed
    assert not {name for name in found if name.startswith(("mailward_", "mailward.mime.message"))}


def test_help_loads_plugins_for_their_commands_but_nothing_that_looks_into_content(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text('plugins = ["relay", "content", "antivirus", "archives"]\n')
    found = loaded(tmp_path, "--help", "-c", "all.toml") | loaded(tmp_path, "-c", "all.toml", "--help")
    reading = {"libarchive", "msoffcrypto", "oletools", "pefile", "pikepdf", "selectolax", "unicorn", "yara_x", "ldap3"}
    assert not found & reading
    assert not found & {
        "mailward_antivirus.makers",
        "mailward_antivirus.disarm",
        "mailward_archives.opener",
        "mailward_archives.table",
    }


def test_a_gateway_loads_no_engines_and_no_readers_and_the_template_of_scan_processes_all(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text('plugins = ["relay", "content", "antivirus", "archives"]\n')
    script = (
        "import sys, pathlib;"
        "from mailward.engine.config import load_config;"
        "from mailward.engine.engine import Engine;"
        "from mailward.hooks.markers import Place;"
        "Engine(load_config(pathlib.Path('all.toml')), place=Place(sys.argv[1]));"
        "print(*(name in sys.modules for name in"
        " ('mailward_antivirus.makers', 'mailward_antivirus.heuristics.engine', 'mailward_archives.table')))"
    )
    for place, expected in (("gateway", "False False False"), ("scan", "True True True")):
        done = subprocess.run(
            [sys.executable, "-c", script, place], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def test_the_log_loads_no_rich_and_leaves_it_to_those_who_print_with_it() -> None:
    script = (
        "import sys, mailward.hooks.log; print('rich' in sys.modules);"
        "import rich.table; print('structlog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
