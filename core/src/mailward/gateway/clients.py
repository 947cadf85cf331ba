"""What DNS says of clients and senders (KAV-ACC-01, KAV-ACC-02)."""

from __future__ import annotations

from attrs import frozen

from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway.replies import CLIENT_NAME_UNKNOWN, NO_CLIENT_NAME, NO_SENDER_DOMAIN, SENDER_DOMAIN_UNKNOWN
from mailward.hooks.resolver import Resolver
from mailward.values.address import Address
from mailward.values.errors import DnsFault, NameNotFound
from mailward.values.reply import Reply


@frozen
class Named:
    """A client's confirmed host name (empty: it has none), or the refusal that its address earns."""

    name: str = ""
    refusal: Reply | None = None


async def look_up(resolver: Resolver, address: str, settings: GatewaySettings) -> Named:
    """The host name of a client, where the settings want to know.

    With ``deny_unresolved_clients`` an address without any name is refused for good, and one whose
    name DNS does not tell for now.
    """
    if not (settings.client_names or settings.deny_unresolved_clients):
        return Named()
    denies = settings.deny_unresolved_clients
    try:
        if denies and not await resolver.names(address):
            return Named(refusal=NO_CLIENT_NAME)
        names = await resolver.confirmed_names(address)
    except NameNotFound:
        return Named(refusal=NO_CLIENT_NAME if denies else None)
    except (DnsFault, ValueError):
        return Named(refusal=CLIENT_NAME_UNKNOWN if denies else None)
    return Named(names[0] if names else "")


async def sender_refusal(resolver: Resolver, sender: Address) -> Reply | None:
    """The refusal of a sender whose domain has no mail exchanger with an address; None for the null sender.

    A DNS fault is a refusal for now: nothing is known then.
    """
    if sender.is_null or not sender.domain or sender.domain.startswith("["):
        return None
    try:
        try:
            hosts = [exchanger.host for exchanger in await resolver.mx(sender.domain)]
        except NameNotFound:
            hosts = [sender.domain]  # RFC 5321 section 5.1: the domain itself is the exchanger
        fault: DnsFault | None = None
        for host in hosts:
            if not host:  # a null MX: the domain says that it takes no mail (RFC 7505)
                continue
            try:
                await resolver.addresses(host)
                return None
            except NameNotFound:
                continue
            except DnsFault as error:
                fault = error
        if fault is not None:
            raise fault
    except DnsFault:
        return SENDER_DOMAIN_UNKNOWN
    return NO_SENDER_DOMAIN
