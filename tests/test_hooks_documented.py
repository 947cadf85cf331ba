"""Every hook is in the reference with its exact signature, and the generated pages are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailward.cli.reference import PAGES, SECTIONS, SETTINGS_MARK, signature, with_settings
from mailward.hooks.specs import hooks

DOCS = Path(__file__).parent.parent / "docs"
HOOKS = [info.name for info in hooks()]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature(hook: str) -> None:
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {hook}\n")[2].partition("\n## ")[0]
    assert section, f"docs/hooks.md has no section about {hook}"
    assert f"```python\n{signature(hook)}\n```" in section
    for name in SECTIONS:
        assert f"| {name} | " in section


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_that_of_the_code(page: str) -> None:
    written = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    command = f"python -m mailward.cli.reference {page} > docs/{page}.md"
    assert written == PAGES[page](), f"docs/{page}.md is out of date; run: {command}"


PLUGIN_PAGES = [
    page.stem
    for page in sorted(DOCS.glob("*.md"))
    if SETTINGS_MARK.format(name=page.stem) in page.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("plugin", PLUGIN_PAGES)
def test_the_settings_on_the_page_of_a_plugin_are_those_of_the_code(plugin: str) -> None:
    page = (DOCS / f"{plugin}.md").read_text(encoding="utf-8")
    command = f"python -m mailward.cli.reference {plugin} docs/{plugin}.md"
    assert page == with_settings(page, plugin), f"docs/{plugin}.md is out of date; run: {command}"
