"""An in-house plugin that ends, or hangs, its scan process in the way that the subject of a message says."""

from __future__ import annotations

WAYS = {
    "exit": "os._exit(3)",
    "segfault": "ctypes.string_at(0)",
    "memory": "[bytearray(8_000_000) for _ in iter(int, 1)]",
    "abort": "os.abort()",
    "loop in C": "sum(range(10**18))",
}
"""What is done, by name. ``loop in C`` holds the interpreter: no timer and no signal handler gets a turn."""

_SOURCE = """
import ctypes, os
from mailward import Plugin, hookimpl


class Killer(Plugin):
    @hookimpl
    def scan_part(self, part, scan):
        order = scan.message.subject.removeprefix("kill by ")
"""


def killer_plugin() -> str:
    """The plugin."""
    return _SOURCE + "".join(f"        if order == {name!r}:\n            {way}\n" for name, way in WAYS.items())
