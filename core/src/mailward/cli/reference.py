"""The reference pages, drawn from the code: ``python -m mailward.cli.reference hooks > docs/hooks.md``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator

import attrs

from mailward.cli.words import Setting, settings_of
from mailward.engine.config import CommonSettings
from mailward.engine.core_settings import CoreSettings
from mailward.hooks.markers import HookInfo
from mailward.hooks.specs import Specs, hooks, specification
from mailward.values.action import ACTIONS, MESSAGE_ACTIONS

_SECTION = re.compile(r"^([A-Z][a-z ]+): ", re.MULTILINE)
_NOTICE = "<!-- Generated: python -m mailward.cli.reference {page} > docs/{page}.md -->\n"
SECTIONS = ("When", "May return", "On error", "Deadline", "Runs in", "Since")


def signature(name: str) -> str:
    """The exact signature of a hook, as an implementation could write it."""
    return f"def {name}{inspect.signature(specification(name))}".replace("'", "")


def _parts(name: str) -> tuple[str, dict[str, str]]:
    """The summary of a hook's docstring, and its sections by name."""
    doc = inspect.getdoc(specification(name)) or ""
    pieces = _SECTION.split(doc)
    summary = " ".join(pieces[0].split())
    texts = [" ".join(piece.split()) for piece in pieces[2::2]]
    return summary, dict(zip(pieces[1::2], texts, strict=True))


def _hook(info: HookInfo) -> Iterator[str]:
    summary, sections = _parts(info.name)
    missing = [name for name in SECTIONS if name not in sections]
    if missing:
        raise ValueError(f"the docstring of hook {info.name!r} lacks {', '.join(missing)}")
    yield f"## {info.name}\n"
    yield f"```python\n{signature(info.name)}\n```\n"
    yield f"{summary}\n"
    answers = " or ".join(kind.__name__ for kind in info.returns) or "nothing"
    several = ", several" if info.many and info.returns else ""
    yield f"| | |\n|---|---|\n| Kind | {info.kind} |\n| Answers | {answers}{several} |"
    yield "\n".join(f"| {name} | {_cell(sections[name])} |" for name in SECTIONS) + "\n"


def hooks_page() -> str:
    """docs/hooks.md."""
    introduction, picture, rest = _specs_doc()
    lines = [
        "# Hook reference\n",
        _NOTICE.format(page="hooks"),
        introduction + "\n",
        f"```text\n{picture}\n```\n",
        rest + "\n",
        "How to write a plugin is told in [plugins.md](plugins.md). What each kind of hook is for:\n",
        "| kind | answers are |\n|---|---|",
        "| decide | refusals and decisions: the first refusal, or the highest rank, wins |",
        "| provide | something the core needs: the first plugin that answers provides it (`check`: all are heard) |",
        "| find | findings: all are kept |",
        "| observe | nothing: observers are told and cannot decide |",
        "| life cycle | nothing |\n",
    ]
    for info in hooks():
        lines.extend(_hook(info))
    return "\n".join(lines).rstrip() + "\n"


def _specs_doc() -> tuple[str, str, str]:
    """The docstring of the module of the specifications: its title, the call order, what follows."""
    doc = inspect.getdoc(sys.modules[Specs.__module__]) or ""
    title, picture, *rest = doc.split("\n\n")
    return title, inspect.cleandoc(picture), "\n\n".join(rest)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("``", "`")


def _default(setting: Setting) -> str:
    spoken = setting.default.startswith(("the ", "("))
    return setting.default if spoken else f"`{setting.default}`"


def _rows(settings: tuple[Setting, ...]) -> str:
    cells = ((f"`{one.name}`", one.type, _default(one), one.help) for one in settings)
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in cells]
    return "\n".join(["| setting | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def settings_page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings of the core\n",
        _NOTICE.format(page="settings"),
        "The configuration is one TOML file: the list `plugins`, a table for each section of the core,",
        "a table for each plugin, and policies. What is not set has its default; what is not known is an",
        "error. The settings of plugins are shown by `mailward plugins NAME`.\n",
        "## plugins\n",
        "A list of plugins in the order in which they are asked: names of installed plugins, dotted names",
        '(`"house.rules:NoPayroll"`), or paths of Python files (`"./house_rules.py"`).\n',
    ]
    for section in attrs.fields(attrs.resolve_types(CoreSettings)):
        kind = section.type
        assert kind is not None
        summary = (inspect.getdoc(kind) or "").partition("\n\n")[0].partition(": ")[
            2
        ] or "What one message may unfold into."
        lines += [f"## [{section.name}]\n", f"{summary[0].upper()}{summary[1:]}\n", _rows(settings_of(kind))]
    lines += ["## Keys of every plugin's section\n", _rows(settings_of(CommonSettings))]
    lines += [*_policies(), *_actions()]
    return "\n".join(lines).rstrip() + "\n"


def _policies() -> Iterator[str]:
    yield "## [policy.NAME]\n"
    yield "`senders` and `recipients` are lists of masks; at least one of them is needed, both must match, and"
    yield "the first policy in file order that does is taken. All other keys override settings of plugins or of"
    yield "`[disposition]`, key by key:\n"
    yield '```toml\n[policy.finance]\nrecipients = ["*@finance.example.com"]\nantivirus.on_infected = ["reject"]\n```\n'


def _actions() -> Iterator[str]:
    yield "## Actions\n"
    yield 'An action is its name, `"hold"`, or a table, `{ action = "tag", subject = "[suspicious]" }`. Where several'
    yield "apply to a message, the one that stands first here is carried out; edits add up.\n"
    yield "| action | on | what is done | keys |\n|---|---|---|---|"
    for name, kind in ACTIONS.items():
        keys = ", ".join(f"`{field.name}`" for field in attrs.fields(kind) if field.init)
        on = "message" if kind in MESSAGE_ACTIONS or name == "tag" else "part"
        yield f"| `{name}` | {on} | {_cell((inspect.getdoc(kind) or '').splitlines()[0])} | {keys} |"
    yield ""


PAGES: dict[str, Callable[[], str]] = {"hooks": hooks_page, "settings": settings_page}


def main() -> None:
    """Print the page that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in PAGES:
        sys.exit(f"usage: python -m mailward.cli.reference {'|'.join(PAGES)}")
    sys.stdout.write(PAGES[sys.argv[1]]())


if __name__ == "__main__":
    main()
