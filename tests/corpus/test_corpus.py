"""Fidelity over real mail: nothing raises, spans tile, single edits change only their bytes and harm nothing."""

from __future__ import annotations

from pathlib import Path

from .work import share

SHOWN = 20


def all_hold(files: list[Path]) -> None:
    found = [f"{name}: {problem}" for name, problem in share("fidelity.py", files)]
    assert not found, "\n".join([f"{len(found)} problems, the first:", *found[:SHOWN]])


def test_messages_of_the_spam_assassin_corpus(spam_assassin: list[Path]) -> None:
    all_hold(spam_assassin)


def test_messages_of_cpythons_own_email_tests(cpython_mails: list[Path]) -> None:
    all_hold(cpython_mails)


def test_sample_mails_of_debians_spamassassin(debian_mails: list[Path]) -> None:
    all_hold(debian_mails)


def test_a_broken_promise_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    """The script on a file that is not there: what it says comes through."""
    ((name, problem),) = share("fidelity.py", [tmp_path / "missing.txt"])
    assert name == "the script itself"
    assert "missing.txt" in problem
