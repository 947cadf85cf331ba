"""Finding plugins: entry points, dotted names, files, and classes in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailward import Plugin, PluginLoadError
from mailward.engine.loader import available, find

ONE = """
from mailward import Plugin, hookimpl

class Mine(Plugin):
    version = "3"
"""
TWO = ONE + "\nclass Other(Plugin):\n    pass\n"


def test_an_entry_point_is_found_with_its_version() -> None:
    found = find("relay", Path())
    assert (found.name, found.origin) == ("relay", "mailward_relay:Relay")
    assert found.version
    assert issubclass(found.kind, Plugin)


def test_installed_plugins_are_listed() -> None:
    assert {"relay", "archives", "content", "antivirus"} <= set(available())


def test_a_file_is_found_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "house_rules.py").write_text(ONE)
    found = find("./house_rules.py", tmp_path)
    assert (found.name, found.kind.__name__, found.version) == ("house_rules", "Mine", "3")


def test_a_class_of_a_file_is_found_and_gives_the_section_its_name(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(TWO)
    found = find(f"{tmp_path}/rules.py:Other", Path())
    assert (found.name, found.kind.__name__) == ("Other", "Other")


def test_a_dotted_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "house_package_of_tests").mkdir()
    (tmp_path / "house_package_of_tests" / "rules.py").write_text(TWO)
    monkeypatch.syspath_prepend(tmp_path)
    assert find("house_package_of_tests.rules:Mine", Path()).name == "rules"
    with pytest.raises(PluginLoadError, match="holds Mine, Other"):
        find("house_package_of_tests.rules", Path())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("relais", "did you mean 'relay'"),
        ("qqqq", "installed: antivirus, "),
        ("no.such.module", "cannot be imported: ModuleNotFoundError"),
        ("os.path:join", "is not a subclass of mailward.Plugin"),
        ("os.path:nothing", "is not a subclass of mailward.Plugin"),
        ("./none.py", "does not exist"),
        ("./empty.py", "holds none"),
        ("./two.py", "write ./two.py:ClassName"),
        ("./two.py:Third", "is not a subclass of mailward.Plugin"),
        ("./broken.py", "fails on import: SyntaxError"),
        ("./raises.py", "fails on import: RuntimeError: at once"),
    ],
)
def test_what_cannot_be_loaded_is_told(tmp_path: Path, name: str, said: str) -> None:
    for file, text in {
        "empty.py": "",
        "two.py": TWO,
        "broken.py": "def",
        "raises.py": "raise RuntimeError('at once')",
    }.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(PluginLoadError) as caught:
        find(name, tmp_path)
    assert said in str(caught.value)


def test_an_imported_plugin_class_is_not_taken_for_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from mailward_relay import Relay\n" + ONE)
    assert find("./mine.py", tmp_path).kind.__name__ == "Mine"
