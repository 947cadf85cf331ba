"""Finding plugin classes: an entry point, a dotted name, or a path to one .py file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from attrs import frozen

from mailward.hooks.plugin import Plugin
from mailward.values.errors import PluginLoadError

GROUP = "mailward.plugins"


@frozen
class Found:
    """A plugin class, the name of its section in the configuration, and its version."""

    name: str
    kind: type[Plugin]
    version: str
    origin: str


def available() -> dict[str, EntryPoint]:
    """The installed plugins by name; nothing is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def find(name: str, base: Path) -> Found:
    """The plugin that a line of the configuration's list names.

    ``name`` is an entry point (``relay``), a dotted name (``house.rules:NoPayroll``) or a path
    (``./house_rules.py``, ``./rules.py:NoPayroll``), relative to ``base``. Raises PluginLoadError.
    """
    target, _, wanted = name.partition(":")
    if target.endswith(".py"):
        module = _from_file(base / Path(target).expanduser())
        return _found(Path(target).stem, module, wanted, target)
    points = available()
    if name in points:
        point = points[name]
        try:
            kind = point.load()
        except Exception as error:  # the isolation boundary of plugins
            raise PluginLoadError(f"plugin {name!r} cannot be imported: {type(error).__name__}: {error}") from error
        version = point.dist.version if point.dist else ""
        return Found(name, _checked(kind, name), kind.version or version, point.value)
    if "." in target:
        return _found(target.rpartition(".")[2], _import(target), wanted, target)
    nearest = difflib.get_close_matches(name, points, 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"installed: {', '.join(sorted(points)) or 'none'}"
    raise PluginLoadError(f"plugin {name!r} is not installed; {hint}")


def _import(target: str) -> ModuleType:
    try:
        return importlib.import_module(target)
    except Exception as error:  # the isolation boundary of plugins
        raise PluginLoadError(f"plugin {target!r} cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginLoadError(f"plugin file {path} does not exist")
    name = f"mailward_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginLoadError(f"plugin file {path} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the isolation boundary of plugins
        raise PluginLoadError(f"plugin file {path} fails on import: {type(error).__name__}: {error}") from error
    return module


def _found(name: str, module: ModuleType, wanted: str, origin: str) -> Found:
    if wanted:
        kind = _checked(getattr(module, wanted, None), f"{origin}:{wanted}")
        return Found(wanted if origin.endswith(".py") else name, kind, kind.version, f"{origin}:{wanted}")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(kind.__name__ for kind in own) or "none"
        raise PluginLoadError(f"{origin} has to hold one Plugin class, it holds {names}; write {origin}:ClassName")
    return Found(name, own[0], own[0].version, origin)


def _checked(kind: object, name: str) -> type[Plugin]:
    if not isinstance(kind, type) or not issubclass(kind, Plugin):
        raise PluginLoadError(f"{name} is not a subclass of mailward.Plugin")
    return kind
