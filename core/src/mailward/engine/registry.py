"""Registration: pluggy holds the specifications and finds the implementations; both are checked at start-up."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

import attrs
import pluggy

from mailward.engine.instance import Implementation
from mailward.hooks.markers import PROJECT, HookInfo, is_quick
from mailward.hooks.plugin import Plugin, settings_type
from mailward.hooks.specs import Specs, hooks, specification
from mailward.values.errors import PluginLoadError


class Registry:
    """The hooks of one engine and who implements them."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Specs)
        self.hooks: dict[str, HookInfo] = {info.name: info for info in hooks()}

    def register(self, plugin: Plugin, label: str) -> dict[str, Implementation]:
        """Take a plugin instance in; ``label`` is its unique name.

        Raises PluginLoadError that names plugin, hook and both signatures where an implementation
        is of no hook, or takes a parameter that the hook does not have. Hooks that the plugin calls
        idle are left out.
        """
        self._check_names(plugin)
        try:
            self._manager.register(plugin, label)
        except pluggy.PluginValidationError as error:
            raise PluginLoadError(f"plugin {plugin.name!r}: {error}") from error
        return {name: found for name, found in self._implementations(plugin) if name not in plugin.idle}

    def _check_names(self, plugin: Plugin) -> None:
        for name in self.hooks:
            if not hasattr(inspect.getattr_static(type(plugin), name, _MARKED), f"{PROJECT}_impl"):
                raise PluginLoadError(
                    f"plugin {plugin.name!r} has {name!r}, the name of a hook, without the mark: it would never be "
                    f"called; put @hookimpl above it, or give it another name"
                )
        for name in plugin.idle - self.hooks.keys():
            raise PluginLoadError(f"plugin {plugin.name!r} calls {name!r} idle, which is no hook")
        for name, function in _marked(plugin):
            if name not in self.hooks:
                nearest = difflib.get_close_matches(name, self.hooks, 1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"hooks: {', '.join(self.hooks)}"
                raise PluginLoadError(f"plugin {plugin.name!r} marks {name!r} as a hook, and there is none; {hint}")
            ours = inspect.signature(specification(name))
            theirs = inspect.signature(function)
            allowed = [parameter for parameter in ours.parameters if parameter != "self"]
            wrong = [p for p in theirs.parameters.values() if p.name not in allowed or p.kind in _VARIADIC]
            if wrong:
                raise PluginLoadError(
                    f"plugin {plugin.name!r}, hook {name!r}: parameter {wrong[0].name!r} is not one of the hook's; "
                    f"written: {name}{theirs}; specified: {name}({', '.join(allowed)})"
                )

    def _implementations(self, plugin: Plugin) -> Iterator[tuple[str, Implementation]]:
        for caller in self._manager.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    function: Any = implementation.function
                    yield (
                        caller.name,
                        Implementation(
                            function,
                            tuple(inspect.signature(function).parameters),
                            is_quick(function),
                            inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
                        ),
                    )


class _Marked:
    """Stands for a hook that a plugin does not have."""

    mailward_impl = True


_MARKED = _Marked()
_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _marked(plugin: Plugin) -> Iterator[tuple[str, Any]]:
    for name in dir(type(plugin)):
        function = inspect.getattr_static(type(plugin), name)
        if hasattr(function, f"{PROJECT}_impl"):
            yield name, getattr(plugin, name)


def settings_fields(kind: type[Plugin]) -> tuple[attrs.Attribute[Any], ...]:
    """The settings of a plugin class, types resolved."""
    return tuple(f for f in attrs.fields(attrs.resolve_types(settings_type(kind))) if f.init)
