"""Which files are scanned (SAV-AV-02/03, SMS-SCAN-01, IMA-EXT)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import ConfigError, Kind

PE = b"MZ" + bytes(100)


def skipped(copy: Any) -> list[tuple[str, str]]:
    return [(f.part, f.detail) for f in copy.findings if f.plugin == "antivirus" and f.rule == "selection"]


def viruses(copy: Any) -> list[str]:
    return [f.part for f in copy.findings if f.plugin == "antivirus" and f.kind is Kind.INFECTED]


def test_by_default_everything_is_scanned_and_an_empty_list_leaves_nothing_out(mails: Any, judge: Any) -> None:
    raw = mails.attached(mails.eicar, "a.xyz")
    for settings in ("", 'scan = "include"', 'scan = "include"\nextensions = []', 'extensions = [".exe"]'):
        copy = judge(raw, settings)
        assert (viruses(copy), skipped(copy)) == (["2"], [])


def test_include_scans_only_what_is_in_the_list(mails: Any, judge: Any) -> None:
    settings = 'scan = "include"\nextensions = [".com", ".EXE"]'
    assert viruses(judge(mails.attached(mails.eicar, "a.Exe"), settings)) == ["2"]
    copy = judge(mails.attached(mails.eicar, "a.txt"), settings)
    assert viruses(copy) == []
    assert skipped(copy) == [("2", "its extension is not in the list")]
    assert not copy.clean
    assert copy.action.name == "deliver"


def test_exclude_scans_all_but_what_is_in_the_list(mails: Any, judge: Any) -> None:
    settings = 'scan = "exclude"\nextensions = [".txt"]'
    assert viruses(judge(mails.attached(mails.eicar, "a.exe"), settings)) == ["2"]
    assert skipped(judge(mails.attached(mails.eicar, "a.TXT"), settings)) == [("2", "its extension is in the list")]


def test_lists_judge_members_and_not_containers(mails: Any, judge: Any) -> None:
    for name in ("test.exe", "test.cmd"):
        raw = mails.attached(mails.zipped(mails.eicar, name), "test.zip")
        found = viruses(judge(raw, 'scan = "include"\nextensions = [".zip", ".exe"]'))
        assert found == (["2/test.exe"] if name == "test.exe" else [])
        assert viruses(judge(raw, 'scan = "include"\nextensions = [".zip"]')) == []
        assert viruses(judge(raw, 'scan = "exclude"\nextensions = [".zip"]')) == [f"2/{name}"]
        older = 'scan = "exclude"\nextensions = [".zip"]\nopen_excluded_containers = false'
        copy = judge(raw, older)
        assert viruses(copy) == []
        assert ("2/" + name, "in 2: its extension is in the list") in skipped(copy)


def test_the_list_with_semicolons(mails: Any, judge: Any) -> None:
    without = mails.attached(mails.eicar, "noextension")
    for text, found in ((".com;.exe;;", ["2"]), (".com;.exe;", []), (";;.com", ["2"]), (".com;;.exe", ["2"])):
        assert viruses(judge(without, f'scan = "include"\nextensions = ["{text}"]')) == found, text
    assert viruses(judge(without, 'scan = "include"\nextensions = [".com", ""]')) == ["2"]
    assert viruses(judge(mails.attached(mails.eicar, "a.com"), 'scan = "include"\nextensions = [".com;.exe;;"]')) == [
        "2"
    ]


def test_what_the_content_shows_counts_too(mails: Any, judge: Any, tmp_path: Any) -> None:
    (tmp_path / "own.ndb").write_text("Own:0:0:4d5a\n")
    own = f'signatures = ["{tmp_path}/own.ndb"]\n'
    disguised = mails.attached(PE, "harmless.txt")
    assert viruses(judge(disguised, own + 'scan = "include"\nextensions = [".exe"]')) == ["2"]
    assert viruses(judge(disguised, own + 'scan = "exclude"\nextensions = [".txt"]')) == ["2"]
    assert viruses(judge(disguised, own + 'scan = "exclude"\nextensions = [".txt", ".exe"]')) == []


@pytest.mark.parametrize("name", ["a.exe.", "a.exe ", "C:\\x\\a.exe", "a.b.EXE"])
def test_the_last_suffix_counts_as_windows_reads_it(mails: Any, judge: Any, name: str) -> None:
    raw = mails.attached(mails.eicar, name.replace("\\", "\\\\"))
    assert viruses(judge(raw, 'scan = "include"\nextensions = [".exe"]')) == ["2"]


def test_every_name_that_a_client_may_show_counts(mails: Any, judge: Any) -> None:
    raw = mails.attached(mails.eicar, "a.exe").replace(
        b"Content-Type: application/octet-stream", b'Content-Type: application/octet-stream; name="a.txt"'
    )
    assert viruses(judge(raw, 'scan = "include"\nextensions = [".txt"]')) == ["2"]
    assert viruses(judge(raw, 'scan = "exclude"\nextensions = [".txt"]')) == ["2"]
    assert viruses(judge(raw, 'scan = "exclude"\nextensions = [".txt", ".exe"]')) == []


def test_bodies_without_a_name_are_no_files(mails: Any, judge: Any) -> None:
    copy = judge(mails.plain(mails.eicar), 'scan = "include"\nextensions = [".exe"]')
    assert copy.action.name == "drop"


def test_what_is_filtered_can_be_taken_out(mails: Any, judge: Any, delivered: Any) -> None:
    raw = mails.attached(b"holiday", "a.txt")
    copy = judge(raw, "scan = 'exclude'\nextensions = ['.txt']\non_filtered = 'delete'")
    assert b"holiday" not in delivered(raw, copy)
    copy = judge(raw, "scan = 'exclude'\nextensions = ['.txt']\non_filtered = 'placeholder'")
    assert b"it is not checked for viruses" in delivered(raw, copy)


@pytest.mark.parametrize("entry", ["exe", ".", ".a.b", "*.exe", ".com;exe"])
def test_entries_that_are_no_extensions_are_refused(mails: Any, judge: Any, entry: str) -> None:
    with pytest.raises(ConfigError, match="is no extension; allowed"):
        judge(mails.plain(b"x"), f"extensions = ['{entry}']")
