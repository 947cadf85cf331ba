"""Statistics of the whole program, and the forms they are shown in."""

from __future__ import annotations

from attrs import frozen


@frozen
class Stats:
    """Counters since the start of the program, those of ended processes included, and gauges."""

    uptime_s: float
    counters: dict[str, float]
    gauges: dict[str, float]


def prometheus(facts: Stats) -> str:
    """The statistics in the text format of Prometheus."""
    lines = []
    for kind, figures in (("counter", facts.counters), ("gauge", facts.gauges)):
        for name, value in figures.items():
            suffix = "_total" if kind == "counter" else ""
            lines += [f"# TYPE mailward_{name}{suffix} {kind}", f"mailward_{name}{suffix} {value:g}"]
    lines += ["# TYPE mailward_uptime_seconds gauge", f"mailward_uptime_seconds {facts.uptime_s:g}"]
    return "\n".join(lines) + "\n"


def lines(facts: Stats) -> str:
    """The statistics as ``name=value`` lines (KAV-STA-01)."""
    figures = {"uptime_s": facts.uptime_s, **facts.counters, **facts.gauges}
    return "".join(f"{name}={value:.15g}\n" for name, value in figures.items())
