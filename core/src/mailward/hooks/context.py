"""What the core hands a plugin: tagged logger, DNS, clock, a folder of its own, the event emitter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import field, frozen

from mailward.hooks.clock import Clock
from mailward.hooks.conversation import ConversationLog
from mailward.hooks.log import get_logger
from mailward.hooks.markers import Place
from mailward.hooks.ourselves import Ourselves
from mailward.hooks.resolver import Resolver
from mailward.hooks.tally import Tally
from mailward.values.event import Event


def _silent(event: Event) -> None:
    return None


@frozen
class Context:
    """The surroundings of one plugin instance.

    ``log`` is tagged with the plugin's name; ``place`` says in which process the instance runs;
    ``hostname`` is the gateway's; ``emit`` hands an event to all observers and never blocks;
    ``sole``: no policy overrides the plugin's settings, so this instance speaks for every recipient;
    ``tally`` holds counts that all gateway processes share, such as connections to one next hop;
    ``conversations`` keeps those of delivery attempts, where `[diagnostics]` asks for it;
    ``first_retry_s`` is the wait before the second delivery attempt (`[delivery] retry_first_s`);
    ``ourselves`` tells a way back to this gateway from a way onward; ``timeout_s`` is what a hook of the
    instance may take before it counts as failed; ``shadow``: the instance only shadows, so what it would do besides
    answering (keep a copy, count, tell others) it must not do.
    """

    name: str = "plugin"
    place: Place = Place.BOTH
    hostname: str = "localhost"
    sole: bool = True
    base: Path = field(factory=Path)
    state: Path = field(factory=lambda: Path("mailward-data"))
    resolver: Resolver = field(factory=Resolver)
    clock: Clock = field(factory=Clock)
    emit: Callable[[Event], None] = _silent
    log: Any = field(factory=get_logger)
    tally: Tally = field(factory=Tally)
    conversations: ConversationLog = field(factory=lambda: ConversationLog(Path("diagnostics")))
    first_retry_s: float = 300.0
    ourselves: Ourselves = field(factory=Ourselves)
    timeout_s: float = 30.0
    shadow: bool = False

    def store(self) -> Path:
        """A folder for this plugin's own files, made on first use (mode 0700)."""
        folder = self.state / "plugins" / self.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def resolve_path(self, path: str | Path) -> Path:
        """A path from the settings: relative ones start at the folder of the configuration file."""
        return self.base / Path(path).expanduser()
