"""Viruses that mail themselves take the whole message with them (SMS-AV-04)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

SAMPLE = b"a worm's body"


@pytest.fixture
def known(tmp_path: Path) -> Any:
    def settings(name: str, more: str = "") -> str:
        (tmp_path / "own.hdb").write_text(f"{hashlib.md5(SAMPLE).hexdigest()}:*:{name}\n")
        return f'signatures = ["{tmp_path}/own.hdb"]\n{more}'

    return settings


@pytest.mark.parametrize("name", ["W32.Klez.H@mm", "VBS.Love@M", "Worm.Mydoom-1", "Email-Worm.Win32.Bagle"])
def test_a_mass_mailers_message_is_dropped_with_the_entry_that_matched(
    mails: Any, judge: Any, known: Any, name: str
) -> None:
    raw = mails.attached(mails.zipped(SAMPLE, "x.pif"), "a.zip")
    copy = judge(raw, known(name))
    assert copy.action.name == "drop"
    (finding,) = [f for f in copy.findings if f.plugin == "antivirus"]
    assert (finding.name, finding.part) == (name, "2/x.pif")
    assert finding.detail.startswith("mass mailer: ")
    assert finding.detail.endswith(", file: x.pif")


def test_other_viruses_go_the_usual_way(mails: Any, judge: Any, known: Any) -> None:
    copy = judge(mails.attached(SAMPLE), known("Win.Trojan.Test"))
    assert copy.action.name == "deliver"
    assert copy.splices


def test_it_can_be_switched_off_or_made_to_refuse(mails: Any, judge: Any, known: Any) -> None:
    raw = mails.attached(SAMPLE)
    assert judge(raw, known("Worm.X", "mass_mailers = false")).action.name == "deliver"
    assert judge(raw, known("Worm.X", "on_mass_mailer = 'reject'")).action.name == "reject"


@pytest.mark.parametrize("action", ["deliver", "hold", "quarantine"])
def test_sms_av_04_a_message_that_is_itself_the_virus_is_dropped_whatever_is_set_for_mass_mailers(
    mails: Any, judge: Any, known: Any, action: str
) -> None:
    raw = mails.plain(SAMPLE).removesuffix(b"\r\n")
    settings = known("Worm.X", f"on_mass_mailer = '{action}'")
    assert judge(raw, settings).action.name == "drop"
    assert judge(mails.attached(SAMPLE), settings).action.name == action
