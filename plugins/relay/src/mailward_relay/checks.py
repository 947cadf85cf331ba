"""What `mailward check` is told: whether the next hops that the tables name are there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailward import Check, NextHop
from mailward_relay.link import Link
from mailward_relay.settings import RelaySettings
from mailward_relay.targets import parse_target
from mailward_relay.wire import LinkError

TIMEOUT_S = 5.0
"""Time for one next hop: a server that is well greets at once."""

MOST_HOPS = 50
_ADVICE = "until it answers, mail for it waits in the queue: start it, or correct [relay]"


def named_hops(settings: RelaySettings, resolve_path: Callable[[str], Path]) -> tuple[NextHop, ...]:
    """The next hops that stand in the tables, each once; those that MX records name are not known before."""
    targets = [parse_target(text, resolve_path) for text in (*settings.local.values(), settings.default)]
    targets += [parse_target(text, resolve_path, bare_is_domain=True) for text in settings.forward.values()]
    return tuple(dict.fromkeys(target for target in targets if isinstance(target, NextHop)))


async def check_hop(hop: NextHop, open_link: Callable[[str, int], Awaitable[Link]]) -> Check:
    """Whether one next hop takes mail: a server that greets, a folder that can be written."""
    name = f"next hop {hop}"
    if hop.transport == "maildir":
        return _folder(name, Path(hop.path))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            link = await open_link(hop.host, hop.port)
            await link.quit(TIMEOUT_S)
    except LinkError as error:
        return Check(name, False, error.detail, _ADVICE)
    except TimeoutError:
        return Check(name, False, f"no answer within {TIMEOUT_S:g} s", _ADVICE)
    return Check(name, detail=f"{link.peer} answers{', with TLS' if link.tls else ''}")


def _folder(name: str, path: Path) -> Check:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(name, detail=f"{there} can be written")
    return Check(name, False, f"{there} cannot be written", "give the user of the gateway write access to it")
