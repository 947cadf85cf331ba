"""Events that the supervisor has told in one gateway process, so that each observer hears them once."""

from __future__ import annotations

from mailward.gateway.link import Tell
from mailward.values.event import (
    ConfigurationChanged,
    ConfigurationRefused,
    Event,
    FileAccessFailed,
    GatewayDied,
    ResourceLow,
    ResourceRecovered,
    Started,
    SwitchThrown,
)
from mailward.values.wire import load

_KINDS: dict[str, type[Event]] = {
    kind.name: kind
    for kind in (
        Started,
        ConfigurationChanged,
        ConfigurationRefused,
        GatewayDied,
        ResourceLow,
        ResourceRecovered,
        FileAccessFailed,
        SwitchThrown,
    )
}


def told_kinds() -> tuple[type[Event], ...]:
    """The events that the supervisor can tell of."""
    return tuple(_KINDS.values())


def told(message: Tell) -> Event:
    """The event. Raises KeyError or WireError where there is no such."""
    return load(bytes(message.fields), _KINDS[message.event])
