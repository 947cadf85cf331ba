"""Sets of definitions: proved before use, swapped while scans run, rolled back; without one nothing is clean."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Context, Custom, Kind, Message, Place, Scan
from mailward_antivirus import Antivirus, AntivirusSettings
from mailward_antivirus.definitions import DefinitionError, Definitions
from mailward_antivirus.definitions.shelf import Shelf
from mailward_antivirus.proof import prove
from mailward_antivirus.rules import Use

from mailward import Envelope  # isort: skip


def sample(content: bytes, finds: str) -> dict[str, str]:
    return {"name": finds or "harmless", "content": base64.b64encode(content).decode(), "finds": finds}


def make_set(folder: Path, word: str, version: str = "", **files: str) -> Path:
    """A set that finds ``word`` as ``Own.WORD``."""
    folder.mkdir()
    (folder / "own.ndb").write_text(f"Own.{word}:0:*:{word.encode().hex()}\n")
    (folder / "self-test.json").write_text(json.dumps([sample(b"a " + word.encode(), f"Own.{word}"), sample(b"x", "")]))
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    if version:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
        (folder / "manifest.json").write_text(json.dumps({"version": version, "files": digests}))
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(name="antivirus", state=tmp_path / "state", base=tmp_path)


@pytest.fixture
def shelf(context: Context) -> Shelf:
    return Shelf(context.state / "plugins/antivirus/definitions")


@pytest.fixture
def install(shelf: Shelf, context: Context) -> Any:
    def put(folder: Path) -> Definitions:
        return shelf.install(folder, lambda one: list(prove(one, AntivirusSettings(), context)))

    return put


def names(plugin: Antivirus, content: bytes) -> list[str]:
    with Message.from_bytes(b"\r\n" + content) as message:
        found = asyncio.run(plugin.scan_message(message, Scan(Envelope(), message)))
    return [f.name for f in found if f.kind is not Kind.NOTE]


def test_a_set_is_read_with_its_version_files_and_data(tmp_path: Path) -> None:
    found = Definitions.read(make_set(tmp_path / "a", "needle", "2026-11-26", data__heuristics_toml="x = 1"))
    assert found.version == "2026-11-26"
    assert found.names == ("data/heuristics.toml", "own.ndb", "self-test.json")
    assert [path.name for path in found.files(".ndb", ".hdb")] == ["own.ndb"]
    assert found.data("heuristics.toml") == b"x = 1"
    assert found.data("other") is None
    assert found.data("../own.ndb") is None


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "own.ndb").write_text("Own:0:*:6161"), "was changed or cut short"),
        (lambda f: (f / "own.ndb").unlink(), "is named in manifest.json and missing"),
        (lambda f: (f / "more.ndb").write_text("x"), "is not named in manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "manifest.json").write_text("[]"), "has no version"),
        (lambda f: (f / "manifest.json").write_text('{"version": "../x", "files": {}}'), "has no version"),
        (lambda f: (f / "manifest.json").write_text('{"version": "1"}'), "has no table 'files'"),
        (lambda f: (f / "link.ndb").symlink_to("/etc/passwd"), "is no plain file"),
        (lambda f: (f / "folder").mkdir(), "is no plain file"),
        (lambda f: (f / "a b.ndb").write_text(""), "is no name that a set may hold"),
        (lambda f: os.mkfifo(f / "fifo.ndb"), "is no plain file"),
    ],
)
def test_a_set_that_is_not_what_it_says_is_refused(tmp_path: Path, harm: Any, message: str) -> None:
    folder = make_set(tmp_path / "a", "needle", "1")
    harm(folder)
    with pytest.raises(DefinitionError, match=message):
        Definitions.read(folder)


def test_an_empty_folder_and_one_that_is_missing_are_no_sets(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        with pytest.raises(DefinitionError):
            Definitions.read(tmp_path / name)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"bad_ndb": "nonsense"}, "line 1: 'nonsense' is no signature"),
        ({"bad_yar": "rule x {"}, "cannot be compiled"),
        ({"self-test_json": "[1]"}, "cannot be read"),
        ({"self-test_json": '[{"name": "a", "content": "!", "finds": ""}]'}, "cannot be read"),
        ({"self-test_json": json.dumps([sample(b"nothing", "Own.x")])}, "is not found as 'Own.x'"),
        ({"self-test_json": json.dumps([sample(b"a needle", "")])}, "is harmless and found; found: Own.needle"),
    ],
)
def test_a_set_that_does_not_load_or_not_find_its_samples_leaves_the_old_one_in_use(
    tmp_path: Path, install: Any, shelf: Shelf, files: dict[str, str], message: str
) -> None:
    first = install(make_set(tmp_path / "first", "needle", "1"))
    with pytest.raises(DefinitionError, match=message):
        install(make_set(tmp_path / "second", "needle", "2", **files))
    current = shelf.current()
    assert current is not None
    assert current.version == first.version == "1"
    assert [path.name for path in (shelf.root / "sets").iterdir()] == [Path(shelf.current_name()).name]


def test_sets_change_places_and_only_two_are_kept(tmp_path: Path, install: Any, shelf: Shelf, context: Context) -> None:
    for number, word in enumerate(("one1", "two2", "three3")):
        install(make_set(tmp_path / word, word, f"v{number}"))
    assert sorted(path.name[:2] for path in (shelf.root / "sets").iterdir()) == ["v1", "v2"]
    for version in ("v1", "v2", "v1"):
        shelf.rollback(lambda one: list(prove(one, AntivirusSettings(), context)))
        current = shelf.current()
        assert current is not None
        assert current.version == version


def test_a_damaged_set_on_the_shelf_is_replaced_by_the_same_set(tmp_path: Path, install: Any, shelf: Shelf) -> None:
    folder = make_set(tmp_path / "one", "needle", "1")
    place = install(folder).folder
    (place / "own.ndb").write_text("")
    with pytest.raises(DefinitionError):
        shelf.current()
    install(folder)
    assert shelf.current() is not None


def test_scans_use_the_old_set_until_the_new_one_is_ready(tmp_path: Path, install: Any, context: Context) -> None:
    install(make_set(tmp_path / "one", "needle", "1"))
    plugin = Antivirus(AntivirusSettings(), context)
    assert names(plugin, b"a needle and a thread") == ["Own.needle"]
    install(make_set(tmp_path / "two", "thread", "2"))
    deadline = time.monotonic() + 30
    while (found := names(plugin, b"a needle and a thread")) != ["Own.thread"]:
        assert found == ["Own.needle"]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (plugin.supply.problem, plugin.supply.trouble) == ("", "")


def test_a_set_that_breaks_on_disk_leaves_what_is_in_use_in_use_and_is_told(
    tmp_path: Path, install: Any, context: Context, shelf: Shelf
) -> None:
    install(make_set(tmp_path / "one", "needle", "1"))
    plugin = Antivirus(AntivirusSettings(), context)
    two = install(make_set(tmp_path / "two", "thread", "2"))
    (two.folder / "own.ndb").write_text("x")
    plugin.supply.settle()
    assert names(plugin, b"a needle and a thread") == ["Own.needle"]
    assert "the set before it stays in use" in plugin.supply.trouble
    # a process that starts now goes back to the set before
    fresh = Antivirus(AntivirusSettings(), context)
    assert names(fresh, b"a needle and a thread") == ["Own.needle"]
    assert "the set before it is in use" in fresh.supply.trouble


def test_a_reload_with_a_broken_set_keeps_the_one_in_use(tmp_path: Path, install: Any, context: Context) -> None:
    one = install(make_set(tmp_path / "one", "needle", "1"))
    plugin = Antivirus(AntivirusSettings(), context)
    (one.folder / "own.ndb").write_text("x")
    plugin.reload()
    assert names(plugin, b"a needle") == ["Own.needle"]
    assert "the set before it stays in use" in plugin.supply.trouble
    assert not plugin.supply.problem


def test_without_a_set_that_loads_nothing_is_clean_and_it_is_told_once(
    tmp_path: Path, install: Any, context: Context, mails: Any, judge: Any
) -> None:
    one = install(make_set(tmp_path / "one", "needle", "1"))
    (one.folder / "own.ndb").write_text("x")
    events: list[Custom] = []
    told = Context(name="antivirus", state=context.state, emit=events.append)  # type: ignore[arg-type]
    for _ in range(2):
        plugin = Antivirus(AntivirusSettings(), told)
        with Message.from_bytes(mails.plain(b"hello")) as message:
            (finding,) = asyncio.run(plugin.scan_message(message, Scan(Envelope(), message)))
        assert (finding.kind, finding.rule) == (Kind.UNCHECKED, "definitions")
        assert "changed or cut short" in finding.detail
        assert finding.action is not None
        assert finding.action.name == "defer"
    assert [event.rule for event in events] == ["definitions"]


def test_where_definitions_are_required_mail_without_them_is_not_clean(tmp_path: Path, mails: Any, judge: Any) -> None:
    copy = judge(mails.plain(b"hello"), "definitions = 'required'")
    assert copy.action.name == "defer"
    assert [(f.kind, f.rule) for f in copy.findings if f.plugin == "antivirus"] == [(Kind.UNCHECKED, "definitions")]
    assert judge(mails.plain(b"hello"), "definitions = 'required'\non_unavailable = 'hold'").action.name == "hold"
    assert judge(mails.plain(b"hello"), "definitions = 'off'").clean
    assert judge(mails.plain(b"hello")).clean


def test_a_reload_that_fails_makes_nothing_clean(tmp_path: Path, context: Context) -> None:
    path = tmp_path / "own.ndb"
    path.write_text("")
    plugin = Antivirus(AntivirusSettings(definitions=Use.REQUIRED, signatures=(path,)), context)
    assert plugin.supply.problem
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="is no signature"):
        plugin.reload()
    assert plugin.supply.problem


def test_a_set_that_is_loaded_later_ends_the_trouble(tmp_path: Path, install: Any, context: Context) -> None:
    plugin = Antivirus(AntivirusSettings(definitions=Use.REQUIRED), context)
    assert plugin.supply.problem
    install(make_set(tmp_path / "one", "needle", "1"))
    plugin.supply.settle()
    assert not plugin.supply.problem
    assert names(plugin, b"a needle") == ["Own.needle"]


def test_a_set_brings_yara_rules_and_names_of_mass_mailers(tmp_path: Path, install: Any, context: Context) -> None:
    files = {
        "own_yar": 'rule Rule_One { strings: $a = "thread" condition: $a }',
        "mass-mailers_txt": "# names\nOwn.*\n",
    }
    install(make_set(tmp_path / "one", "needle", "1", **files))
    plugin = Antivirus(AntivirusSettings(), context)
    assert names(plugin, b"a thread") == ["Rule_One"]
    assert plugin.supply.equipment.mass_mailers.patterns == ("Own.*",)


def test_the_gateway_process_loads_nothing(tmp_path: Path, install: Any, context: Context) -> None:
    install(make_set(tmp_path / "one", "needle", "1"))
    plugin = Antivirus(AntivirusSettings(), Context(name="antivirus", state=context.state, place=Place.GATEWAY))
    assert plugin.supply.equipment.engines == ()


@given(st.text(max_size=100))
def test_any_self_test_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-set"
    folder.mkdir(exist_ok=True)
    (folder / "self-test.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        list(prove(Definitions.read(folder), AntivirusSettings(), Context(name="antivirus", state=folder)))
    except DefinitionError:
        return
    assert not text or json.loads(text) == []
