"""The sandbox that templates are filled in within. It is what loads jinja2, so it comes with the first template."""

from __future__ import annotations

from collections.abc import Callable

import jinja2
import jinja2.meta
import jinja2.nodes
import jinja2.sandbox

_OTHER_FILES = (jinja2.nodes.Include, jinja2.nodes.Import, jinja2.nodes.FromImport, jinja2.nodes.Extends)
_ENVIRONMENT = jinja2.sandbox.ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)


def compiled(text: str) -> tuple[frozenset[str], Callable[..., str]]:
    """The names that a text uses, and what fills them in. Raises jinja2.TemplateSyntaxError."""
    tree = _ENVIRONMENT.parse(text)
    for node in tree.find_all(_OTHER_FILES):
        # there is nothing to take them from, so every message that meets the text would wait
        raise jinja2.TemplateSyntaxError("a text cannot take in other templates", node.lineno)
    return frozenset(jinja2.meta.find_undeclared_variables(tree)), _ENVIRONMENT.from_string(tree).render
