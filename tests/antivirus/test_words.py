"""What texts may say about what was found: names of our own, and the tags of older products (SAV-NTF-03)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mailward import Message, Template
from mailward.hooks.template import TAGS
from mailward_antivirus import AntivirusSettings, words

NOT_FOR_RECIPIENTS = {
    *("DISPOSITION", "CONTENTINFO", "SPAMINFO"),  # of administrators, or of other plugins
    *("ENVELOPE_ID", "SRCID", "CLIENT_IP", "HELO", "GROUP", "POSTMASTER"),  # nothing that a recipient should see
    *("NEW_MESSAGE_COUNT", "NEW_QUARANTINE_MESSAGES", "QUARANTINE_DAYS", "QUARANTINE_URL", "USER_NAME"),
}
SAID = [
    ("{$VIRUSINFO}", "EICAR-Test-File in v.com"),
    ("${VIRUSINFO}", "EICAR-Test-File in v.com"),
    ("%VIRUS_NAMES% %OBJECT_NAME% %OBJECT_TYPE%", "EICAR-Test-File v.com application/octet-stream"),
    ("{$FILE}", "v.com (EICAR-Test-File)"),
    ("{$MSGINFO}", "From: a@example.com To: b@example.org"),
    ("%SUBJECT% %SENDER% %RECIPIENTS%", "hello a@example.com b@example.org"),
    ("%HOSTNAME% %PRODUCT% %STATUS%", "mx.example.org Mailward infected"),
    ("{$DISPOSITION}{$ENCRYPTINFO}", ""),
    ("{{ filename }} {{ virus }} {{ part }} {{ subject }}", "v.com EICAR-Test-File 2 hello"),
]


@pytest.mark.parametrize(("tag", "said"), SAID)
@pytest.mark.parametrize("where", ["replacement", "action", "after a repair that failed"])
def test_kav_act_02_sav_ntf_03_what_a_tag_says_in_the_place_of_a_virus(
    mails: Any, judge: Any, delivered: Any, where: str, tag: str, said: str
) -> None:
    raw = mails.attached(mails.eicar, "v.com")
    own = f"{{ action = 'placeholder', text = '<{tag}>' }}"
    settings = {
        "replacement": f"on_infected = ['placeholder']\nreplacement = '<{tag}>'",
        "action": f"on_infected = [{own}]",
        "after a repair that failed": f"on_infected = ['repair', {own}]",
    }[where]
    text = Message.from_bytes(delivered(raw, judge(raw, settings))).part("2").text
    assert " ".join(text.split()) == f"<{said}>"


@pytest.mark.parametrize(("tag", "said"), SAID)
def test_sms_av_03_what_a_tag_says_in_the_body(mails: Any, judge: Any, delivered: Any, tag: str, said: str) -> None:
    raw = mails.attached(mails.eicar, "v.com")
    settings = f"on_infected = ['delete']\ntell_in_body = true\nbody_text = '<{tag}>'"
    text = Message.from_bytes(delivered(raw, judge(raw, settings))).part("1").text
    assert " ".join(text.split()) == f"good day <{said}>"


def test_every_tag_is_worked_out_or_left_out_on_purpose() -> None:
    assert words.NAMES >= TAGS - NOT_FOR_RECIPIENTS
    assert not words.NAMES & NOT_FOR_RECIPIENTS


def test_texts_of_the_settings_use_known_names_alone() -> None:
    values = [getattr(AntivirusSettings(), one.name) for one in attrs.fields(AntivirusSettings)]
    texts = [value for value in values if isinstance(value, Template)]
    assert len(texts) == 2
    assert all(text.names <= words.NAMES for text in texts)
