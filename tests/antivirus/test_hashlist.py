"""Hash lists: reading `.hdb` and `.hsb`, and what a look-up costs."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mailward import Context, Message
from mailward_antivirus import Antivirus, AntivirusSettings
from mailward_antivirus.hashlist import HashList
from mailward_antivirus.signature_files import SignatureSet

SAMPLE = b"a sample of nothing in particular\n"
HASHES = {name: hashlib.new(name, SAMPLE).hexdigest() for name in ("md5", "sha1", "sha256")}


def leaf(content: bytes) -> Any:
    """The one part of a message with this body."""
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


def loaded(folder: Path, text: str, name: str = "own.hdb") -> HashList:
    path = folder / name
    path.write_text(text)
    return SignatureSet.load([path]).hashes


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("own.hdb", f"{HASHES['md5']}:{len(SAMPLE)}:Own.Test"),
        ("own.hdb", f"{HASHES['md5'].upper()}:*:Own.Test:73"),
        ("own.hdb", f"{HASHES['md5']}:{len(SAMPLE)}:Own.Test:73:255\r"),
        ("own.HSB", f"{HASHES['sha1']}:{len(SAMPLE)}:Own.Test"),
        ("own.hsb", f"{HASHES['sha256']}:*:Own.Test"),
    ],
)
def test_a_signature_in_either_form_finds_its_content(tmp_path: Path, name: str, line: str) -> None:
    hashes = loaded(tmp_path, f"# comment\n\n{line}\n", name)
    assert len(hashes) == 1
    assert hashes.find(leaf(SAMPLE)) == "Own.Test"
    assert hashes.find(leaf(SAMPLE + b"x")) is None


def test_a_signature_of_another_size_does_not_match_but_one_of_any_size_does(tmp_path: Path) -> None:
    wrong = f"{HASHES['md5']}:{len(SAMPLE) + 1}:Wrong\n"
    assert loaded(tmp_path, wrong).find(leaf(SAMPLE)) is None
    assert loaded(tmp_path, wrong + f"{HASHES['md5']}:*:Any\n").find(leaf(SAMPLE)) == "Any"


def test_only_what_a_list_needs_is_computed(tmp_path: Path) -> None:
    hashes = loaded(tmp_path, f"{HASHES['md5']}:{len(SAMPLE)}:Own.Test\n")
    asked: list[str] = []

    class Counting:
        size = len(SAMPLE) + 1

        def digest(self, algorithm: str) -> str:
            asked.append(algorithm)
            return hashlib.new(algorithm, SAMPLE).hexdigest()

    part: Any = Counting()
    assert hashes.find(part) is None
    assert asked == []
    part.size = len(SAMPLE)
    assert hashes.find(part) == "Own.Test"
    assert asked == ["md5"]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        f"{HASHES['md5']}:12",
        f"{HASHES['md5']}:12:",
        f"{HASHES['md5']}:-1:Name",
        f"{HASHES['md5']}:1.5:Name",
        f"{HASHES['md5'][:-1]}:12:Name",
        f"{HASHES['sha256']}:12:Name",
        f"{HASHES['md5']}:12:Name:x",
        f"{HASHES['md5']}:12:Name:1:2:3",
        f"{'g' * 32}:12:Name",
    ],
)
def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"own\.hdb, line 3: .* is no signature; allowed: md5:size:name"):
        loaded(tmp_path, f"# first\n{HASHES['md5']}:12:Name\n{line}\n")


def test_files_that_are_missing_of_no_known_form_or_not_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.hdb cannot be read: .*No such file"):
        SignatureSet.load([tmp_path / "none.hdb"])
    with pytest.raises(ValueError, match=r"own\.ldb is of no known form; allowed: .*\.hdb, \.hsb, \.ndb"):
        loaded(tmp_path, "", "own.ldb")
    (tmp_path / "binary.hdb").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"binary\.hdb cannot be read"):
        SignatureSet.load([tmp_path / "binary.hdb"])


def test_settings_with_a_bad_list_are_refused_and_relative_paths_start_at_the_configuration(tmp_path: Path) -> None:
    settings = AntivirusSettings(signatures=(Path("own.hdb"),))
    context = Context(name="antivirus", base=tmp_path)
    with pytest.raises(ValueError, match=r"signatures: .*own\.hdb cannot be read"):
        Antivirus(settings, context)
    (tmp_path / "own.hdb").write_text(f"{HASHES['md5']}:*:Own.Test\n")
    assert Antivirus(settings, context).supply.equipment.engines
    engines = Antivirus(evolve(settings, clamd=("127.0.0.1:3310",)), context).supply.equipment.engines
    assert [engine.name for engine in engines] == ["signatures", "heuristics", "clamd"]


def test_reload_takes_new_signatures_and_keeps_the_old_ones_where_the_new_are_bad(tmp_path: Path) -> None:
    path = tmp_path / "own.hdb"
    path.write_text("")
    plugin = Antivirus(AntivirusSettings(signatures=(path,)), Context(name="antivirus", base=tmp_path))

    def names() -> str | None:
        found: str | None = plugin.supply.equipment.engines[0].known.hashes.find(leaf(SAMPLE))  # type: ignore[attr-defined]
        return found

    assert names() is None
    path.write_text(f"{HASHES['md5']}:*:Own.Test\n")
    plugin.reload()
    assert names() == "Own.Test"
    path.write_text("bad\n")
    with pytest.raises(ValueError, match="line 1"):
        plugin.reload()
    assert names() == "Own.Test"


@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused_with_the_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.hdb"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(ValueError):
        SignatureSet.load([path])


SIGNATURES = st.lists(
    st.tuples(
        st.binary(min_size=16, max_size=16).map(bytes.hex),
        st.one_of(st.just("*"), st.integers(0, 10**15 - 1).map(str)),
        st.text("ABCabc.-_0123", min_size=1, max_size=20),
    ),
    max_size=20,
)


@given(SIGNATURES)
def test_every_well_formed_line_is_kept(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "good.hdb"
    path.write_text("".join(":".join(line) + "\n" for line in lines))
    assert len(SignatureSet.load([path])) == len({line[:2] for line in lines})


def test_policies_that_read_the_same_lists_share_them(tmp_path: Path) -> None:
    for name in ("one.hdb", "two.hdb"):
        (tmp_path / name).write_text(f"{HASHES['md5']}:*:Own.Test\n")
    first = SignatureSet.load([tmp_path / "one.hdb"])
    assert SignatureSet.load([tmp_path / "two.hdb"]) is first
    (tmp_path / "two.hdb").write_text("")
    assert SignatureSet.load([tmp_path / "two.hdb"]) is not first
