"""Differences to the standard library: every one belongs to a class, and every class is explained with an example."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from attrs import frozen

from .work import share

PAGE = Path(__file__).parents[2] / "docs" / "disagreements.md"
SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.M | re.S)
EXAMPLE = re.compile(r"```python\nraw = (.*?)\n```", re.S)
SEEN = re.compile(r"^Seen in ([\d,]+) message", re.M)


@frozen
class Section:
    """What the page says about one class."""

    example: bytes
    seen: int


def sections() -> dict[str, Section]:
    found = {}
    for name, text in SECTION.findall(PAGE.read_text("utf-8")):
        seen = SEEN.search(text)
        found[name] = Section(ast.literal_eval(EXAMPLE.search(text)[1]), int(seen[1].replace(",", "")) if seen else 0)
    return found


def classes(files: list[Path]) -> dict[str, set[str]]:
    """The files of each class. A difference of no class, or one that the page does not know, fails here."""
    found, strange = defaultdict(set), []
    known = sections()
    for name, said in share("disagreement.py", files):
        if isinstance(said, str) or said[0] not in known:
            strange.append(f"{name}: {said}")
        else:
            found[said[0]].add(name.removesuffix(" as CRLF"))
    assert not strange, "\n".join([f"{len(strange)} differences that nobody explained, the first:", *strange[:20]])
    return found


def test_every_difference_over_the_corpus_is_explained_and_counted(spam_assassin: list[Path]) -> None:
    found = classes(spam_assassin)
    counts = {name: len(files) for name, files in found.items()}
    assert counts == {name: section.seen for name, section in sections().items() if section.seen}
    assert f"{len(set().union(*found.values()))} messages are read differently" in PAGE.read_text("utf-8")


def test_every_difference_over_cpythons_messages_is_explained(cpython_mails: list[Path]) -> None:
    classes(cpython_mails)


def test_each_example_shows_its_class_and_no_other(tmp_path: Path) -> None:
    files = []
    for name, section in sections().items():
        files.append(tmp_path / name)
        files[-1].write_bytes(section.example)
    found = classes(files)
    assert {name: sorted(Path(file).name for file in names) for name, names in found.items()} == {
        name: [name] for name in sections()
    }
