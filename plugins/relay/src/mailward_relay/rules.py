"""Ordered rules: ``allow|deny from CLIENT to DOMAIN`` (KAV-ACC-03)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable

from attrs import frozen

from mailward import Masks, domain_spellings
from mailward_relay.clients import ANY, Clients

_RULE = re.compile(r"\s*(allow|deny)\s+from\s+(\S+)\s+to\s+(\S+)\s*", re.IGNORECASE)

NOBODYS = "domain.of.nobody.invalid"
"""A domain that only masks of all domains match (RFC 2606 section 2)."""

Names = Callable[[], Awaitable[tuple[str, ...]]]


@frozen
class Rule:
    """One rule: what it says, whom it is for, and where to."""

    allows: bool
    clients: Clients
    domains: Masks

    @classmethod
    def read(cls, text: str) -> Rule:
        """Read a rule; raises ValueError with a message for the administrator."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is no rule; allowed: allow|deny from CLIENT to DOMAIN, as in 'allow from any to *.example'"
            )
        try:
            clients = Clients((match[2],))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error
        domain = match[3].lower()
        return cls(match[1].lower() == "allow", clients, Masks(("*",) if domain in ANY else (domain,)))


class Rules:
    """Rules in order; the first that matches client and domain decides."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError where one cannot be read."""
        self._rules = tuple(map(Rule.read, texts))

    def __bool__(self) -> bool:
        return bool(self._rules)

    @property
    def let_everybody(self) -> bool:
        """Whether a rule lets every client send to every domain, but for what a rule before it denies."""
        return any(rule.allows and rule.clients.everybody and rule.domains.match(NOBODYS) for rule in self._rules)

    async def verdict(self, client_ip: str, domain: str, names: Names) -> bool | None:
        """Whether the first matching rule allows; None where none matches.

        ``names`` gives the confirmed names of the client; it is asked only where they matter, and what
        it raises passes through.
        """
        names_of_domain = domain_spellings(domain)
        for rule in self._rules:
            if not rule.domains.any(names_of_domain):
                continue
            clients = rule.clients
            if clients.has_address(client_ip) or (clients.needs_names and clients.has_name(await names())):
                return rule.allows
        return None
