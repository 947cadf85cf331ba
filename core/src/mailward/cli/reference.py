"""The reference pages, drawn from the code: ``python -m mailward.cli.reference hooks > docs/hooks.md``.

Pages of plugins are written by hand but for their table of settings, which is put between two marks:
``python -m mailward.cli.reference content docs/content.md``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from mailward.cli.words import Setting, settings_of
from mailward.engine.config import CommonSettings
from mailward.engine.core_settings import CoreSettings
from mailward.engine.loader import find
from mailward.hooks.markers import HookInfo
from mailward.hooks.plugin import settings_type
from mailward.hooks.scan import Scan
from mailward.hooks.settings import is_settings
from mailward.hooks.specs import Specs, hooks, specification
from mailward.mime import Member
from mailward.values import event as events
from mailward.values.action import ACTIONS, MESSAGE_ACTIONS
from mailward.values.check import Check
from mailward.values.content import Content
from mailward.values.decision import Call, Copy, Decision, Verdict
from mailward.values.delivery import Delivery, NextHop, Result
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender, Session
from mailward.values.finding import Finding
from mailward.values.reply import Reply

_NOTICE = "<!-- Generated: python -m mailward.cli.reference {page} > docs/{page}.md -->\n"
SETTINGS_MARK = "<!-- Settings, generated: python -m mailward.cli.reference {name} docs/{name}.md -->"
SETTINGS_END = "<!-- end of settings -->"
MAX_DEFAULT_CHARS = 100
"""Longer defaults are cut in tables; ``mailward plugins NAME --json`` shows them whole."""
_VALUES: tuple[type[Any], ...] = (
    *(Session, Sender, Recipient, Envelope, MessageInfo, Content, Scan, Member),
    *(Finding, Decision, Reply, NextHop, Delivery, Result, Check, Verdict, Copy, Call),
)
SECTIONS = ("When", "May return", "On error", "Deadline", "Runs in", "Since")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}): ", re.MULTILINE)


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
    lines.extend(_events())
    lines.extend(_values())
    return "\n".join(lines).rstrip() + "\n"


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield "What the hook `event` is told. Each has `at` besides, in Unix seconds, and is a log line of this name."
    yield "What to do about those that are alarms is told in [operations.md](operations.md#alarms).\n"
    yield "| name | class | fields | what happened |\n|---|---|---|---|"
    for kind in vars(events).values():
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event:
            fields = ", ".join(f"`{field.name}`" for field in attrs.fields(kind) if field.name != "at")
            what = " ".join((inspect.getdoc(kind) or "").split())
            yield f"| `{kind.name}` | `{kind.__name__}` | {fields} | {_cell(what)} |"
    yield ""


def _values() -> Iterator[str]:
    yield "## Values\n"
    yield "What hooks are given and answer with, and what a verdict holds; all are names of `mailward`. Parts and"
    yield "messages are told of in [messages.md](messages.md), actions in [settings.md](settings.md#actions).\n"
    yield "| class | has | what it is |\n|---|---|---|"
    for kind in _VALUES:
        what = " ".join((inspect.getdoc(kind) or "").split())
        yield f"| `{kind.__name__}` | {', '.join(f'`{name}`' for name in _public(kind))} | {_cell(what)} |"
    yield ""


def _public(kind: type[Any]) -> Iterator[str]:
    """Fields, properties and methods; what a scan keeps for the judge (``…_read``) is nobody else's."""
    own = [one.name for one in attrs.fields(kind)] if attrs.has(kind) else getattr(kind, "__slots__", ())
    yield from (name for name in own if not name.startswith("_") and not name.endswith("_read"))
    for name, member in vars(kind).items():
        if not name.startswith("_") and isinstance(member, property):
            yield name
        elif not name.startswith("_") and inspect.isfunction(member):
            yield f"{name}()"


def _specs_doc() -> tuple[str, str, str]:
    """The docstring of the module of the specifications: its title, the call order, what follows."""
    doc = inspect.getdoc(sys.modules[Specs.__module__]) or ""
    title, picture, *rest = doc.split("\n\n")
    return title, inspect.cleandoc(picture), "\n\n".join(rest)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("``", "`")


def _default(setting: Setting) -> str:
    spoken = setting.default.startswith(("the ", "twice ", "("))
    if len(setting.default) > MAX_DEFAULT_CHARS:
        return f"`{setting.default[:MAX_DEFAULT_CHARS]}`…"
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
        lines += [f"## [{section.name}]\n", f"{_cell(summary[0].upper() + summary[1:])}\n", _rows(settings_of(kind))]
    lines += ["## Keys of every plugin's section\n", _rows(settings_of(CommonSettings))]
    lines += [*_policies(), *_actions()]
    return "\n".join(lines).rstrip() + "\n"


def _policies() -> Iterator[str]:
    yield "## [policy.NAME]\n"
    yield "`senders` and `recipients` are lists of masks, or texts with a mask a line or commas between them; at least"
    yield "one of the two is needed, both must match, and the first policy in file order that does is taken. They are"
    yield "held against the envelope. `*@*` is everybody, the null sender included.\n"
    yield "With `check = false` no content is looked at: its mail is delivered as it came, and recorded as filtered,"
    yield "not as clean. What is said to the client before the content (relaying, sizes) holds all the same, and so do"
    yield "archives and logs. All other keys override settings of plugins or of `[disposition]`, key by key:\n"
    yield '```toml\n[policy.finance]\nrecipients = ["*@finance.example.com"]\nantivirus.on_infected = ["reject"]\n```\n'


def _actions() -> Iterator[str]:
    yield "## Actions\n"
    yield 'An action is its name, `"hold"`, or a table, `{ action = "tag", subject = "[suspicious]" }`. Where several'
    yield "apply to a message, the one that stands first here is carried out; edits add up. A tag has a subject,"
    yield 'or header fields, or both: `{ action = "tag", headers = { "X-Seen" = "yes" } }`.\n'
    yield "| action | on | what is done | keys |\n|---|---|---|---|"
    for name, kind in ACTIONS.items():
        keys = ", ".join(f"`{field.name}`" for field in attrs.fields(kind) if field.init)
        on = "message" if kind in MESSAGE_ACTIONS or name == "tag" else "part"
        yield f"| `{name}` | {on} | {_cell((inspect.getdoc(kind) or '').splitlines()[0])} | {keys} |"
    yield ""


def plugin_settings(name: str) -> str:
    """The settings of an installed plugin: a table, and one more for each kind of table that it holds.

    Raises PluginLoadError where there is no plugin of this name.
    """
    kind = settings_type(find(name, Path()).kind)
    lines = [_rows(settings_of(kind))]
    drawn: dict[type[Any], list[str]] = {}
    for key, inner in _tables(name, kind):
        drawn.setdefault(inner, []).append(f"`[{key}]`")
    for inner, keys in drawn.items():
        lines += [f"In {', '.join(keys)}:\n", _rows(settings_of(inner))]
    return "\n".join(lines)


def _tables(section: str, kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """The settings classes that are values of a settings class, with the headings of their tables."""
    for field in attrs.fields(attrs.resolve_types(kind)):
        for inner in (field.type, *get_args(field.type)):
            if is_settings(inner):
                heading = f"{section}.{field.name}{'.NAME' if get_origin(field.type) is dict else ''}"
                yield heading, inner
                yield from _tables(heading, inner)


def with_settings(page: str, name: str) -> str:
    """A plugin's page with its table of settings drawn anew; ValueError where it has no place for one."""
    start, end = SETTINGS_MARK.format(name=name), SETTINGS_END
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no place for the settings: a line {start!r} and below it {end!r}")
    return f"{before}{start}\n\n{plugin_settings(name)}\n{end}{after}"


PAGES: dict[str, Callable[[], str]] = {"hooks": hooks_page, "settings": settings_page}


def main() -> None:
    """Print the page that the command line names, or draw the settings of a plugin into its page."""
    if len(sys.argv) == 3:
        page = Path(sys.argv[2])
        page.write_text(with_settings(page.read_text(encoding="utf-8"), sys.argv[1]), encoding="utf-8")
        return
    if len(sys.argv) != 2 or sys.argv[1] not in PAGES:
        sys.exit(f"usage: python -m mailward.cli.reference {'|'.join(PAGES)}, or PLUGIN docs/PLUGIN.md")
    sys.stdout.write(PAGES[sys.argv[1]]())


if __name__ == "__main__":
    main()
