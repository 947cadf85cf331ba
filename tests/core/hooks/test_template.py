"""Templates: the sandbox, the names they use, and the tags of older products."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Template
from mailward.hooks.template import TAGS, translate


@pytest.mark.parametrize("form", ["{{$%s}}", "${{%s}}", "%%%s%%"], ids=["braces", "dollar", "percent"])
@pytest.mark.parametrize("tag", sorted(TAGS))
def test_every_tag_of_an_older_product_is_a_name_in_all_its_forms(form: str, tag: str) -> None:
    text = (form % tag).replace("{{", "{").replace("}}", "}")
    template = Template(f"before {text} after")
    assert template.names == {tag}
    assert template.render(**{tag: "told"}) == "before told after"


@pytest.mark.parametrize(
    "text",
    [
        "100% of %users% were told",
        "%UNKNOWN% and {$UNKNOWN} and ${UNKNOWN}",
        "%% stays where no tag stands between percent signs",
        "$MSGINFO and {MSGINFO} and %msginfo% are no tags",
    ],
)
def test_what_only_looks_like_a_tag_is_text(text: str) -> None:
    assert Template(text).render() == text


def test_percent_signs_are_doubled_beside_tags_between_percent_signs() -> None:
    assert Template("%SUBJECT%: 100%% sure").render(SUBJECT="offer") == "offer: 100% sure"
    assert Template("{$SUBJECT}: 100%% sure").render(SUBJECT="offer") == "offer: 100%% sure"


def test_a_tag_without_data_renders_empty() -> None:
    assert Template("[{$VIRUSINFO}]").render() == "[]"


def test_what_a_tag_is_filled_with_is_not_filled_in_again() -> None:
    assert Template("%SUBJECT%").render(SUBJECT="{{ HOSTNAME }} %HOSTNAME%", HOSTNAME="mx") == (
        "{{ HOSTNAME }} %HOSTNAME%"
    )


def test_old_tags_and_new_names_may_stand_side_by_side() -> None:
    template = Template("{$FILE}{% if mask %} ({{ mask }}){% endif %}")
    assert template.names == {"FILE", "mask"}
    assert template.render(FILE="a.exe", mask="*.exe") == "a.exe (*.exe)"


def test_a_template_is_shown_as_it_was_written() -> None:
    assert str(Template("{$FILE}")) == "{$FILE}"
    assert Template("{$FILE}") == Template("{$FILE}") != Template("{{ FILE }}")
    assert not Template("")


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__.__mro__ }}", "{{ names.__init__.__globals__ }}", "{{ [].append(1) }}"]
)
def test_a_template_cannot_leave_its_sandbox(text: str) -> None:
    with pytest.raises(jinja2.TemplateError):
        Template(text).render(names="x")


@given(st.text("{}$%ABCFILE \n"))
def test_text_without_a_known_tag_is_never_changed(text: str) -> None:
    if not any(f"{{${tag}}}" in text or f"${{{tag}}}" in text or f"%{tag}%" in text for tag in TAGS):
        assert translate(text) == text
