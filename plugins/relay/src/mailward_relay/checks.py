"""What `mailward check` is told: whether the next hops that the tables name are there, and our names in DNS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailward import Check, NextHop, PeerError, Resolver
from mailward_relay.link import Link
from mailward_relay.routes import literal_key
from mailward_relay.settings import RelaySettings
from mailward_relay.targets import ByExchange, is_name, parse_target
from mailward_relay.wire import LinkError

TIMEOUT_S = 5.0
"""Time for one next hop: a server that is well greets at once."""

MOST_HOPS = 50
MOST_DOMAINS = 20
_ADVICE = "until it answers, mail for it waits in the queue: start it, or correct [relay]"


def named_hops(settings: RelaySettings, resolve_path: Callable[[str], Path]) -> tuple[NextHop, ...]:
    """The next hops that stand in the tables, each once; those that MX records name are not known before."""
    targets = [parse_target(text, resolve_path) for text in (*settings.local.values(), settings.default)]
    targets += [parse_target(text, resolve_path, bare_is_domain=True) for text in settings.forward.values()]
    return tuple(dict.fromkeys(target for target in targets if isinstance(target, NextHop)))


async def check_hop(hop: NextHop, open_link: Callable[[NextHop], Awaitable[Link]]) -> Check:
    """Whether one next hop takes mail: a server that greets, a folder that can be written."""
    name = f"next hop {hop}"
    if hop.transport == "maildir":
        return _folder(name, Path(hop.path))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            link = await open_link(hop)
            await link.quit(TIMEOUT_S)
    except LinkError as error:
        return Check(name, False, error.detail, _ADVICE)
    except TimeoutError:
        return Check(name, False, f"no answer within {TIMEOUT_S:g} s", _ADVICE)
    return Check(name, detail=f"{link.peer} answers{f', with {link.tls}' if link.tls else ''}")


async def check_names(settings: RelaySettings, hostname: str, resolver: Resolver) -> list[Check]:
    """Whether DNS knows what other servers look up: our name and its address, and our domains (SAV-RTE-07).

    Warnings only, and only where mail goes to or comes from the Internet: by MX.
    """
    if not isinstance(parse_target(settings.default, Path), ByExchange) or "." not in hostname:
        return []
    found = [await _own_name(hostname, resolver)]
    domains = [mask.lower() for mask in settings.local if is_name(mask.lower()) and not literal_key(mask)]
    return found + [await _domain(domain, resolver) for domain in domains[:MOST_DOMAINS]]


async def _own_name(hostname: str, resolver: Resolver) -> Check:
    name = f"DNS for {hostname}"
    advice = "other servers look up A and PTR of the name that we give; without them much mail is refused"
    try:
        addresses = await resolver.addresses(hostname)
        named = [address for address in addresses if hostname.lower() in await resolver.confirmed_names(address)]
    except PeerError as error:
        return Check(name, False, str(error), advice, warning=True)
    if not named:
        return Check(name, False, f"PTR of {addresses[0]} does not name it", advice, warning=True)
    return Check(name, detail=f"{named[0]} and back")


async def _domain(domain: str, resolver: Resolver) -> Check:
    name = f"MX of {domain}"
    try:
        hosts = [record.host for record in await resolver.mx(domain)]
    except PeerError as error:
        return Check(name, False, str(error), "mail from outside finds the gateway by it", warning=True)
    return Check(name, detail=", ".join(hosts[:5]))


def _folder(name: str, path: Path) -> Check:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(name, detail=f"{there} can be written")
    return Check(name, False, f"{there} cannot be written", "give the user of the gateway write access to it")
