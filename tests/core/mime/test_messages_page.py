"""The examples of docs/messages.md run, and its table of defects is whole."""

import re
from pathlib import Path

import mailward.mime
from mailward.mime import manner

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"
PACKAGE = Path(mailward.mime.__file__).parent


def test_the_examples_run():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(blocks) > 5
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "messages"})


def test_every_rule_is_on_the_page():
    sources = "\n".join(path.read_text("utf-8") for path in PACKAGE.glob("*.py"))
    rules = set(re.findall(r'Kind\.[A-Z]+, (?:"core", )?"(\w+)"', sources)) | set(
        re.findall(r'report\("(\w+)"\)', sources)
    )
    rules |= set(re.findall(r'Doubt\(\s*manner\.\w+,\s*"(\w+)"', sources))
    assert {"uu_junk", "line_ends"} <= rules
    assert {rule for rule in rules if f"`{rule}`" not in PAGE.read_text("utf-8")} == set()


def test_every_reading_is_on_the_page():
    readings = {one.name for one in vars(manner).values() if isinstance(one, manner.Manner) and one.name}
    assert {name for name in readings if f"`{name}`" not in PAGE.read_text("utf-8")} == set()


def test_every_public_name_is_exported_and_documented():
    for name in mailward.mime.__all__:
        assert getattr(mailward.mime, name).__doc__
