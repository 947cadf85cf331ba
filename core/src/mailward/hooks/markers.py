"""The markers of hook specifications and implementations."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar, cast, overload

import pluggy
from attrs import frozen

PROJECT = "mailward"
F = TypeVar("F", bound=Callable[..., Any])

_impl = pluggy.HookimplMarker(PROJECT)
_spec = pluggy.HookspecMarker(PROJECT)


class HookKind(StrEnum):
    """What a hook's answers are for; each kind is combined in its own way (design section 4)."""

    DECIDE = "decide"
    PROVIDE = "provide"
    FIND = "find"
    OBSERVE = "observe"
    LIFE = "life cycle"


class Place(StrEnum):
    """Where a plugin instance runs."""

    GATEWAY = "gateway"
    SCAN = "scan"
    BOTH = "both"


@frozen
class HookInfo:
    """The machine-readable half of a hook's contract.

    ``returns`` are the types an answer may have; ``raises`` the exceptions that are an answer, not a failure.
    """

    name: str
    kind: HookKind
    place: Place
    returns: tuple[type, ...]
    many: bool = True
    raises: tuple[type[Exception], ...] = ()


def hookspec(
    kind: HookKind,
    place: Place,
    returns: tuple[type, ...] = (),
    *,
    many: bool = True,
    raises: tuple[type[Exception], ...] = (),
) -> Callable[[F], F]:
    """Mark a method as the specification of a hook."""

    def mark(function: F) -> F:
        info = HookInfo(function.__name__, kind, place, returns, many, raises)
        function.mailward_hook = info  # type: ignore[attr-defined]
        return _spec(function)

    return mark


def hook_info(function: object) -> HookInfo:
    """The `HookInfo` that `hookspec` put on a specification."""
    return cast(HookInfo, function.mailward_hook)  # type: ignore[attr-defined]


@overload
def hookimpl(function: F) -> F: ...
@overload
def hookimpl(*, quick: bool = ...) -> Callable[[F], F]: ...
def hookimpl(function: F | None = None, *, quick: bool = False) -> F | Callable[[F], F]:
    """Mark a method of a plugin as the implementation of the hook of the same name.

    An async function of a gateway hook runs on the event loop that serves every connection: it waits
    with ``await`` and leaves work that computes to plain functions. A plain function of a gateway hook
    runs in a thread. ``quick=True`` is the promise that it only
    computes (no I/O, well under a millisecond): it then runs on the event loop itself.
    """

    def mark(target: F) -> F:
        target.mailward_quick = quick  # type: ignore[attr-defined]
        return _impl(target)

    return mark if function is None else mark(function)


def is_quick(function: object) -> bool:
    """Whether an implementation was marked ``quick``."""
    return bool(getattr(function, "mailward_quick", False))
