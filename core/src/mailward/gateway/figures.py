"""The figures of one gateway process, as its supervisor gets them: what only grows, and how it is now."""

from __future__ import annotations

from typing import Any

import attrs

from mailward.gateway.descriptors import Descriptors
from mailward.gateway.link import Beat
from mailward.gateway.program import Gateway
from mailward.spool.entry import Queue

_NOW = frozenset(
    {
        *("scan_idle", "scan_busy", "scan_aside", "scan_waiting", "in_open_connections"),
        *("queue_incoming", "queue_fast", "queue_slow", "queue_active", "queue_scanning"),
    }
)
"""Figures of the components that say how it is now; those that end in ``_max`` are not summed but compared."""


def figures(gateway: Gateway, descriptors: Descriptors, number: int = 0) -> Beat:
    """The figures: those of the events by their own names, those of a component after a word for it."""
    counters = gateway.counters.stats()
    gauges = {
        "connections": float(len(gateway.connections)),
        "queue_waiting": float(len(gateway.runner)),
        "scan_processes": float(len(gateway.pool.pids)),
        "descriptors_used": float(descriptors.used),
        "events_lost": float(gateway.engine.bus.lost),
    }
    journal = gateway.spool.journal
    gauges |= {f"journal_{queue}": float(journal.count(queue)) for queue in (Queue.INCOMING, Queue.FAST)}
    for word, component in gateway.components.items():
        for name, value in attrs.asdict(component.stats()).items():
            _sort(f"{word}_{name}", value, counters, gauges)
    return Beat(number, counters, gauges)


def _sort(name: str, value: Any, counters: dict[str, float], gauges: dict[str, float]) -> None:
    target = gauges if name in _NOW or name.endswith("_max") else counters
    target[name] = float(value)
