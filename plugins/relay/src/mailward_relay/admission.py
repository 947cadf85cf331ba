"""Admission: which recipients and addresses a client may use (SAV-RLY, SMS-RELAY, KAV-ACC-03)."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailward import Address, DnsFault, Recipient, Reply, Resolver, Sender, Session
from mailward_relay.clients import Clients
from mailward_relay.rules import NOBODYS, Rules
from mailward_relay.settings import Relaying, RelaySettings, fingerprint

RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
BAD_SENDER = Reply(553, "5.1.7", "Sender address holds a character that is not accepted here")
BAD_RECIPIENT = Reply(553, "5.1.3", "Recipient address holds a character that is not accepted here")
NO_SOURCE_ROUTE = Reply(553, "5.1.3", "Source routes are not accepted here")
NAME_UNKNOWN_NOW = Reply(451, "4.4.3", "The name of the client could not be looked up, try again later")

_ROUTING = re.compile(r"[@%!]")


class Admission:
    """Refuses what would relay for strangers; closed unless told otherwise (SAV-RLY-05)."""

    def __init__(self, settings: RelaySettings, is_local: Callable[[str], bool], resolver: Resolver) -> None:
        """Raises ValueError, naming the setting, where an entry is wrong."""
        try:
            self._clients = Clients(settings.allow)
        except ValueError as error:
            raise ValueError(f"allow: {error}") from error
        try:
            self._rules = Rules(settings.rules)
        except ValueError as error:
            raise ValueError(f"rules: {error}") from error
        self._is_local = is_local
        self._resolver = resolver
        self._everybody = settings.relaying is Relaying.EVERYBODY
        self._protects_all = settings.protected_domains.match(NOBODYS)
        self._certificates = frozenset(map(fingerprint, settings.allow_certificates))
        self._allow_authenticated = settings.allow_authenticated
        self._forbidden = frozenset(settings.forbidden_characters)
        self._refuse_source_routes = settings.refuse_source_routes

    @property
    def opened_by(self) -> str:
        """Why everybody may relay (SAV-RLY-01); empty where not everybody may."""
        reasons = {
            "relaying is set to everybody": self._everybody,
            "protected_domains has a mask of all domains": self._protects_all,
            "allow has an entry for every client": self._clients.everybody,
            "rules let every client send to every domain": self._rules.let_everybody,
        }
        return next((f"{reason}: everybody may relay" for reason, given in reasons.items() if given), "")

    async def may_relay(self, session: Session) -> bool:
        """Whether the client may send anywhere: by address, confirmed name, login or certificate, never by From.

        SAV-RLY-02. Raises DnsFault where only its name could tell and cannot be looked up.
        """
        if self._everybody or self._clients.has_address(session.client_ip):
            return True
        if self._allow_authenticated and session.user:
            return True
        if session.client_cert and self._certificates and not self._certificates.isdisjoint(("*", session.client_cert)):
            return True
        return self._clients.needs_names and self._clients.has_name(await self._names(session))

    def sender(self, sender: Sender) -> Reply | None:
        """The refusal of a reverse-path that holds a forbidden character, or None (SAV-RLY-06)."""
        return BAD_SENDER if self._is_forbidden(sender.address) else None

    async def recipient(self, session: Session, recipient: Recipient) -> Reply | None:
        """The refusal of one recipient, or None; the message's other recipients stay (SAV-RLY-03)."""
        address = recipient.address
        if self._is_forbidden(address):
            return BAD_RECIPIENT
        if recipient.source_route and self._refuse_source_routes:
            return NO_SOURCE_ROUTE
        try:
            return None if await self._admits(session, address) else RELAYING_DENIED
        except DnsFault:
            return NAME_UNKNOWN_NOW

    async def _admits(self, session: Session, address: Address) -> bool:
        if self._rules:

            async def names() -> tuple[str, ...]:
                return await self._names(session)

            verdict = await self._rules.verdict(session.client_ip, address.domain, names)
            if verdict is not None:
                # A rule that lets mail for a domain in does not let it go on to another.
                return verdict and (not self._routes_on(address.local) or await self.may_relay(session))
        # Local recipients first: they are the bulk, and need no look at the client's address.
        if self._is_local(address.domain) and not self._routes_on(address.local):
            return True
        return await self.may_relay(session)

    async def _names(self, session: Session) -> tuple[str, ...]:
        try:
            return await self._resolver.confirmed_names(session.client_ip.partition("%")[0])
        except ValueError:
            return ()

    def _is_forbidden(self, address: Address) -> bool:
        return bool(self._forbidden) and not self._forbidden.isdisjoint(str(address))

    def _routes_on(self, local: str) -> bool:
        """Whether a local part asks a host behind us to send the message on to a domain that is not ours."""
        if _ROUTING.search(local) is None:
            return False
        parts = _ROUTING.split(local.strip('"').lower())
        kinds = set(_ROUTING.findall(local))
        if kinds == {"%"}:
            hosts = parts[1:]
        elif kinds == {"!"}:
            hosts = parts[:-1]
        else:
            return True
        return not all(self._is_local(host) for host in hosts)
