"""Settings of plugins: one frozen attrs class drives loading, validation, check, docs and console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NewType

import attrs
from attrs import NOTHING, field, frozen

MIB = 1024 * 1024

ByteSize = NewType("ByteSize", int)
"""A number of bytes; written ``1048576`` or ``"1 MB"`` (powers of 1,024)."""

Seconds = NewType("Seconds", float)
"""A duration in seconds; written ``90`` or ``"90 s"``, ``"5 min"``, ``"2 h"``, ``"5 d"``."""

_HELP = "mailward.help"
_SECRET = "mailward.secret"
_ALSO = "mailward.also"


@frozen
class Secret:
    """A value that never shows in logs, errors or listings; ``reveal()`` gives it out."""

    _value: str = field(default="", repr=False)

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __str__(self) -> str:
        return "********" if self._value else ""

    def __bool__(self) -> bool:
        return bool(self._value)


def setting(
    default: Any = NOTHING,
    *,
    factory: Callable[[], Any] | None = None,
    help: str,
    validator: Any = None,
    also: tuple[str, ...] = (),
) -> Any:
    """A field of a ``Settings`` class: its default, its help text, and validators of attrs.

    ``also`` are other keys that the configuration may write it under, as names of older products.
    """
    options: dict[str, Any] = {"metadata": {_HELP: help, _ALSO: also}, "kw_only": True}
    if validator is not None:
        options["validator"] = validator
    if factory is not None:
        return field(factory=factory, **options)
    return field(default=default, **options)


def between(low: float, high: float) -> Callable[[object, Any, float], None]:
    """A validator: the value lies in ``low..high``; out of range is an error, never clamped (KAV-LIM-03)."""

    def check(instance: object, attribute: Any, value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"out of range; allowed: {low:g} to {high:g}")

    return check


def help_of(attribute: attrs.Attribute[Any]) -> str:
    """The help text of a field made by `setting`."""
    return str(attribute.metadata.get(_HELP, ""))


def also_of(attribute: attrs.Attribute[Any]) -> tuple[str, ...]:
    """The other keys of a field made by `setting`."""
    return tuple(attribute.metadata.get(_ALSO, ()))


def is_settings(kind: object) -> bool:
    """Whether a type is a class of settings: an attrs class whose fields were all made by `setting`."""
    if not isinstance(kind, type) or not attrs.has(kind):
        return False
    fields = [field for field in attrs.fields(kind) if field.init]
    return bool(fields) and all(map(help_of, fields))


@frozen
class NoSettings:
    """For plugins that have nothing to set."""
