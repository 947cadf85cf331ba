"""Plugin instances and their hook implementations, as the caller needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from mailward.hooks.failure import OnFailure
from mailward.hooks.plugin import Plugin


@frozen
class Implementation:
    """One hook implementation: the bound function, the parameters that it takes, and how it is to be called."""

    function: Callable[..., Any]
    parameters: tuple[str, ...]
    quick: bool = False
    is_async: bool = False


@frozen(eq=False)
class Instance:
    """A plugin built with one distinct set of settings, shared by all policies that have this set."""

    name: str
    plugin: Plugin
    on_failure: OnFailure
    timeout_s: float
    shadow: bool
    implementations: dict[str, Implementation] = field(factory=dict)
    key: str = ""

    @property
    def applied_on_failure(self) -> str:
        """What a failure has for effect: its on_failure, or nothing where the plugin only shadows."""
        return "none (shadow)" if self.shadow else str(self.on_failure)

    def implements(self, hook: str) -> bool:
        """Whether this plugin has the hook."""
        return hook in self.implementations
