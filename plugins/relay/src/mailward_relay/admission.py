"""Admission: which recipients and addresses a client may use (SAV-RLY, SMS-RELAY)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from mailward import Address, Recipient, Reply, Sender, Session
from mailward_relay.hosts import Hosts

RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
BAD_SENDER = Reply(553, "5.1.7", "Sender address holds a character that is not accepted here")
BAD_RECIPIENT = Reply(553, "5.1.3", "Recipient address holds a character that is not accepted here")

_ROUTING = re.compile(r"[@%!]")


class Admission:
    """Refuses what would relay for strangers; closed unless told otherwise (SAV-RLY-05)."""

    def __init__(
        self,
        allow: Iterable[str],
        is_local: Callable[[str], bool],
        *,
        allow_authenticated: bool = True,
        forbidden_characters: str = "",
    ) -> None:
        try:
            self._hosts = Hosts(allow)
        except ValueError as error:
            raise ValueError(f"allow: {error}") from error
        self._is_local = is_local
        self._allow_authenticated = allow_authenticated
        self._forbidden = frozenset(forbidden_characters)

    def may_relay(self, session: Session) -> bool:
        """Whether the client may send anywhere: by its address or its login, never by From (SAV-RLY-02)."""
        return (self._allow_authenticated and bool(session.user)) or session.client_ip in self._hosts

    def sender(self, sender: Sender) -> Reply | None:
        """The refusal of a reverse-path that holds a forbidden character, or None (SAV-RLY-06)."""
        return BAD_SENDER if self._is_forbidden(sender.address) else None

    def recipient(self, session: Session, recipient: Recipient) -> Reply | None:
        """The refusal of one recipient, or None; the message's other recipients stay (SAV-RLY-03)."""
        address = recipient.address
        if self._is_forbidden(address):
            return BAD_RECIPIENT
        # Local recipients first: they are the bulk, and need no look at the client's address.
        if self._is_local(address.domain) and not self._routes_on(address.local):
            return None
        return None if self.may_relay(session) else RELAYING_DENIED

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
