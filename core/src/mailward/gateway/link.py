"""What supervisor and gateway processes say to each other: one line a message, a word and a JSON value.

The first steps go in turn: `Load`, then `Plan` or `Faulty`; `Prepare` (with descriptors), then
`Prepared`, `Faulty` or `Failed`; `Open`, then `Opened`. From there on each side speaks when it has
something to say. This module is all that the supervisor knows of a gateway, and it imports little.
"""

from __future__ import annotations

import msgspec
from attrs import field, frozen

from mailward.values.errors import Problem
from mailward.values.switches import Switches

MAX_LINE_BYTES = 4 * 1024 * 1024


@frozen
class Load:
    """Supervisor: read this configuration (None: the built-in defaults), and say what it asks for."""

    text: str | None
    source: str
    base: str


@frozen
class Levels:
    """When a resource is low, and when so short that no more mail is taken: free per cent."""

    low_percent: float
    stop_percent: float


@frozen
class Point:
    """Where to listen: the name of the listener (empty: that of ``[gateway]``), and an address."""

    listener: str
    address: str


@frozen
class Plan:
    """Gateway: the configuration is good, the plugins are built; this is what it asks of the supervisor.

    ``state`` is the folder where everything is kept, ``temp`` the one of temporary files; times are in
    seconds; ``files`` are those whose change is a change of the configuration; ``version`` is Mailward's,
    ``plugins`` maps names to versions; ``descriptors`` is what one gateway process may need at its limits.
    """

    source: str
    state: str
    temp: str
    gateways: int
    workers: int
    listen: tuple[Point, ...]
    user: str
    group: str
    stop_s: float
    reload_s: float
    start_s: float
    hang_s: float
    watch: bool
    files: tuple[str, ...]
    health_s: float
    disk: Levels
    memory: Levels
    control: str
    control_s: float
    stats_file: str
    log_level: str
    log_format: str
    descriptors: int
    version: str
    plugins: dict[str, str]


@frozen
class Faulty:
    """Gateway: the configuration is wrong; all that is wrong with it."""

    source: str
    problems: tuple[Problem, ...]


@frozen
class Failed:
    """Gateway: it cannot start, for this reason, which is none of the configuration's."""

    problem: str


@frozen
class Prepare:
    """Supervisor: start everything but the listening. Descriptors come along: tally, log of hangs, sockets.

    ``number`` counts the gateways of one configuration from 0; ``slot`` is its part of the spool,
    ``in_use`` those of all processes that live; ``listen`` names the listener of each socket.
    """

    number: int
    slot: str
    in_use: tuple[str, ...]
    columns: int
    key: str
    workers: int
    beat_s: float
    listen: tuple[str, ...]
    switches: Switches
    short: tuple[str, ...] = ()


@frozen
class Prepared:
    """Gateway: all is there; ``recovered`` messages were found in the queue."""

    recovered: int


@frozen
class Open:
    """Supervisor: listen."""


@frozen
class Opened:
    """Gateway: it listens at these addresses."""

    listening: tuple[str, ...]


@frozen
class Throw:
    """Supervisor: the switches as they are from now on, and what resources are short."""

    switches: Switches
    short: tuple[str, ...] = ()


@frozen
class Adopt:
    """Supervisor: take over the mail of slots that nobody uses; these are in use."""

    in_use: tuple[str, ...]


@frozen
class Adopted:
    """Gateway: so many messages were taken over."""

    messages: int


@frozen
class Tell:
    """Supervisor: tell the observers; ``fields`` is the JSON of the event called ``event``."""

    event: str
    fields: msgspec.Raw = msgspec.Raw(b"{}")


@frozen
class Ask:
    """Supervisor: send a `Beat` now, with this number in it."""

    number: int


@frozen
class Beat:
    """Gateway: the event loop turns. ``counters`` only ever grow, ``gauges`` say how it is now."""

    number: int = 0
    counters: dict[str, float] = field(factory=dict)
    gauges: dict[str, float] = field(factory=dict)


@frozen
class Leave:
    """Supervisor: take no more connections, let messages in progress finish, then end."""

    limit_s: float
    stopped: bool = False


@frozen
class Left:
    """Gateway: it takes no more connections; those that come are others' now."""


Message = (
    Load
    | Plan
    | Faulty
    | Failed
    | Prepare
    | Prepared
    | Open
    | Opened
    | Throw
    | Adopt
    | Adopted
    | Tell
    | Ask
    | Beat
    | Leave
    | Left
)
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in Message.__args__}


def line(message: Message) -> bytes:
    """The line that a message travels as."""
    return type(message).__name__.encode() + b" " + msgspec.json.encode(message) + b"\n"


def read_line(data: bytes) -> Message:
    """The message on a line. Raises ValueError where there is none."""
    word, _, json = data.partition(b" ")
    kind = _KINDS.get(word.decode("ascii", "replace"))
    if kind is None:
        raise ValueError(f"no message: {word[:40]!r}")
    return msgspec.json.decode(json, type=kind)
