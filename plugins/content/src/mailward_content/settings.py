"""The settings of the content plugin."""

from __future__ import annotations

from typing import Any

import jinja2
from attrs import frozen

from mailward import Action, Delete, Masks, Placeholder, Repair, Template, setting
from mailward_content.file_names import DEFAULT_NAMES, DEFAULT_TEXT, check_masks


def _masks(instance: object, attribute: Any, masks: Masks) -> None:
    check_masks(masks)


def _action(instance: object, attribute: Any, action: Action) -> None:
    """A name cannot be repaired; the text of a placeholder must be a template."""
    if isinstance(action, Repair):
        raise ValueError("repair is for infected parts alone; allowed: every other action")
    if isinstance(action, Placeholder):
        try:
            Template(action.text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"text of placeholder, line {error.lineno}: {error.message}") from error


@frozen
class ContentSettings:
    """``[content]``: what a message may hold."""

    block_names: bool = setting(False, help="whether attachments are judged by their file names")
    names: Masks = setting(Masks(DEFAULT_NAMES), validator=_masks, help="file names that are not let through")
    on_name: Action = setting(Delete(), validator=_action, help="what happens to an attachment with such a name")
    name_text: Template = setting(
        Template(DEFAULT_TEXT), help="text of a placeholder that has none of its own: filename, mask, part, hostname"
    )
