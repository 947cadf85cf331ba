"""Heuristics and disarming in the plugin: findings with evidence, repair that is proved, weights of definitions."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mailward import Kind, Message, unpack_zip
from mailward_antivirus.heuristics.engine import DATA_FILE, _weights

from .conftest import attached
from .samples import JAVASCRIPT, SAMPLES, XML, Sample, carrying, ooxml, opens, pe, relationship, zipped

TEMPLATE = relationship("attachedTemplate", "https://host.example/a.dotm")
DOCUMENT = Sample(
    "letter.docx",
    ooxml({"word/document.xml": XML + b"<w:t>Dear all</w:t>", "word/_rels/settings.xml.rels": TEMPLATE}),
)
PDF = Sample("form.pdf", carrying("run.exe", pe()))


def of_plugin(copy: Any, kind: Kind) -> list[Any]:
    return [finding for finding in copy.findings if finding.plugin == "antivirus" and finding.kind is kind]


def member(raw: bytes, path: str) -> bytes:
    with Message.from_bytes(raw) as message:
        for part in message.walk():
            message.add_members(part, unpack_zip(part) or ())
        return message.part(path).content


def test_by_default_what_is_suspicious_is_held_with_every_trait_as_evidence(judge: Any):
    copy = judge(attached("invoice.pdf.exe", pe()))
    assert copy.action.name == "hold"
    (suspicious,) = of_plugin(copy, Kind.SUSPICIOUS)
    assert (suspicious.rule, suspicious.name, suspicious.score) == ("heuristics", "Heuristics.double_extension", 100)
    notes = {note.name: (note.score, note.detail) for note in of_plugin(copy, Kind.NOTE)}
    assert notes["double_extension"] == (60, "'invoice.pdf.exe'")
    assert notes["program"] == (40, "PE")


def test_below_the_threshold_traits_are_notes_and_the_message_is_clean(judge: Any):
    copy = judge(attached("setup.exe", pe()))
    assert copy.action.name == "deliver"
    assert copy.clean
    assert [note.name for note in of_plugin(copy, Kind.NOTE)] == ["program"]


@pytest.mark.parametrize(("level", "action"), [("off", "deliver"), ("low", "deliver"), ("high", "hold")])
def test_the_level_decides(judge: Any, level: str, action: str):
    assert judge(attached("setup.exe", pe()), f'heuristics = "{level}"').action.name == action


def test_a_document_is_disarmed_and_all_else_in_it_stays(judge: Any, delivered: Any):
    raw = attached(DOCUMENT.name, DOCUMENT.content)
    settings = 'heuristics = "high"\non_suspicious = "repair"'
    copy = judge(raw, settings)
    assert copy.action.name == "deliver"
    left = delivered(raw, copy)
    assert b"https://host.example" not in member(left, "2/word%2F_rels%2Fsettings.xml.rels")
    assert member(left, "2/word%2Fdocument.xml") == XML + b"<w:t>Dear all</w:t>"
    assert left.startswith(raw[: raw.index(b"--b1")])
    again = judge(left, settings)
    assert again.clean


def test_a_pdf_in_a_zip_is_disarmed_where_it_lies(judge: Any, delivered: Any):
    raw = attached("a.zip", zipped({"form.pdf": PDF.content, "note.txt": b"as it was"}))
    copy = judge(raw, 'on_suspicious = "repair"')
    assert copy.action.name == "deliver"
    left = delivered(raw, copy)
    assert member(left, "2/note.txt") == b"as it was"
    assert b"MZ" not in member(left, "2/form.pdf")
    assert judge(left).clean


def test_what_cannot_be_disarmed_is_treated_as_infected(judge: Any, delivered: Any):
    raw = attached("invoice.pdf.exe", pe())
    copy = judge(raw, 'on_suspicious = "repair"')
    assert copy.action.name == "deliver"
    assert base64.encodebytes(pe())[:40] not in delivered(raw, copy)


def test_disarming_can_be_left_out_and_then_the_document_goes(judge: Any, delivered: Any):
    raw = attached(DOCUMENT.name, DOCUMENT.content)
    copy = judge(raw, 'heuristics = "high"\non_suspicious = "repair"\ndisarm = false')
    left = delivered(raw, copy)
    with pytest.raises(KeyError):
        member(left, "2/word%2Fdocument.xml")


def test_a_script_alone_in_a_pdf_is_taken_out_when_its_action_goes(judge: Any, delivered: Any):
    raw = attached("a.pdf", opens(S=JAVASCRIPT, JS="app.alert(1)"))
    settings = 'heuristics = "high"\non_suspicious = "repair"'
    copy = judge(raw, settings)
    assert judge(delivered(raw, copy), settings).clean


def test_weights_of_definitions_are_read_and_wrong_ones_refused():
    assert _weights(b"[weights]\nprogram = 70\n") == {"program": 70.0}
    with pytest.raises(ValueError, match=rf"{DATA_FILE}: the weight of program is no number from 0 to 1000"):
        _weights(b"[weights]\nprogram = -1\n")
    with pytest.raises(ValueError, match=DATA_FILE):
        _weights(b"\xff")


def test_the_password_in_the_text_counts_through_the_whole_engine(judge: Any):
    sample = SAMPLES["password_in_text"]
    copy = judge(attached(sample.name, sample.content, sample.text), 'on_encrypted = "deliver"')
    assert "password_in_text" in {note.name for note in of_plugin(copy, Kind.NOTE)}
