"""What the actions of content rules may be."""

from __future__ import annotations

from typing import Any

import jinja2

from mailward import Action, Placeholder, Repair, Template


def check_text(action: Action | None) -> None:
    """Raise ValueError for a placeholder whose text is no template."""
    if isinstance(action, Placeholder):
        try:
            Template(action.text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"text of placeholder, line {error.lineno}: {error.message}") from error


def check_action(action: Action | None) -> None:
    """The same, and for what no content rule can do."""
    if isinstance(action, Repair):
        raise ValueError("repair is for infected parts alone; allowed: every other action")
    check_text(action)


def is_action(instance: object, attribute: Any, action: Action | None) -> None:
    """`check_action` as a validator of a setting."""
    check_action(action)


def is_filter_action(instance: object, attribute: Any, action: Action) -> None:
    """The same for what is filtered: KAV-ACT-01 allows cure there, which is nothing but letting it through."""
    check_text(action)
