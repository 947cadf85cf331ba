"""What all connections of one gateway process share, and the listeners they come in by."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from mailward.engine.board import Board
from mailward.engine.diagnostics import conversation_log
from mailward.engine.engine import Engine
from mailward.engine.gateway_settings import Auth, Tls
from mailward.engine.listeners import ListenerSection
from mailward.gateway.acceptance import Acceptance
from mailward.gateway.doorkeeper import Doorkeeper
from mailward.gateway.farewell import Farewells
from mailward.gateway.login import HASHES_AT_A_TIME, Authenticator, LoginFailures
from mailward.gateway.passwords import PasswordError, PasswordFile
from mailward.gateway.rawcopies import RawCopies
from mailward.gateway.tls import Certificates
from mailward.gateway.watch import Watch
from mailward.spool.spool import Spool
from mailward.values.errors import ConfigError, Problem
from mailward.values.event import Refused
from mailward.values.networks import Networks
from mailward.values.reply import Reply

if TYPE_CHECKING:
    from mailward.gateway.server import Server


@frozen
class ConnectionStats:
    """Figures of the receiving side since the start; ``open_connections`` is as of now."""

    open_connections: int = 0
    connections: int = 0
    tls_connections: int = 0
    messages: int = 0
    message_bytes: int = 0
    logins: int = 0
    failed_logins: int = 0
    timed_out: int = 0
    protocol_violations: int = 0
    refused_connections: int = 0
    refused_senders: int = 0
    refused_recipients: int = 0
    refused_messages: int = 0
    refused_max_connections: int = 0
    refused_max_connections_per_address: int = 0
    refused_max_recipients: int = 0
    refused_max_messages: int = 0
    refused_message_size: int = 0
    refused_session_size: int = 0
    refused_hops: int = 0
    refused_line_ends: int = 0
    refused_nul: int = 0
    refused_unresolved_clients: int = 0
    refused_unresolved_senders: int = 0


_BY_STAGE = {
    "connect": "refused_connections",
    "helo": "refused_connections",
    "mail_from": "refused_senders",
    "rcpt_to": "refused_recipients",
    "data": "refused_messages",
}
_BY_RULE = {
    "max_connections": "refused_max_connections",
    "max_connections_per_address": "refused_max_connections_per_address",
    "max_recipients": "refused_max_recipients",
    "max_messages": "refused_max_messages",
    "max_message_bytes": "refused_message_size",
    "max_session_bytes": "refused_session_size",
    "max_hops": "refused_hops",
    "bare_line_ends": "refused_line_ends",
    "nul": "refused_nul",
    "deny_unresolved_clients": "refused_unresolved_clients",
    "deny_unresolved_senders": "refused_unresolved_senders",
}
"""The figure that each refusal of the core has beside that of its stage (KAV-LIM-02)."""


class Services:
    """The engine, the spool and all else behind the listeners of one process."""

    def __init__(self, engine: Engine, acceptance: Acceptance, spool: Spool, board: Board | None = None) -> None:
        """Read what the listeners need (certificates, password files); raises ConfigError where that cannot be."""
        self.engine = engine
        self.acceptance = acceptance
        self.spool = spool
        self.board = board or Board()
        self.connections: set[Server] = set()
        self.leaving = False
        """Whether the process is about to go: nobody is let in any more."""
        self.watch = Watch()
        self.doorkeeper = Doorkeeper(engine.tally)
        self.farewells = Farewells()
        self.conversations = conversation_log(engine.config, "inbound", engine.clock.time)
        self.raw_copies = RawCopies(engine.config, engine.clock.time)
        self.login_failures = LoginFailures(engine.clock.monotonic)
        self.hash_turns = asyncio.Semaphore(HASHES_AT_A_TIME)
        self._counts: Counter[str] = Counter()
        engine.listen(self._hear)
        self.listeners = tuple(Listener(section, self) for section in engine.config.listeners)

    def count(self, figure: str, number: int = 1) -> None:
        """Add to one of the figures of `ConnectionStats`."""
        self._counts[figure] += number

    def stats(self) -> ConnectionStats:
        """The figures as they are now."""
        return ConnectionStats(open_connections=len(self.connections), **self._counts)

    def _hear(self, event: object) -> None:
        if isinstance(event, Refused):
            self.count(_BY_STAGE.get(event.stage, "refused_messages"))
            if event.plugin == "core" and event.rule in _BY_RULE:
                self.count(_BY_RULE[event.rule])


class Listener:
    """One entry to the gateway, with its own settings."""

    def __init__(self, section: ListenerSection, services: Services) -> None:
        """Raises ConfigError where a file that it needs cannot be used."""
        config = services.engine.config
        settings = section.settings
        self.section = section.name
        self.name = section.name or "gateway"
        self.settings = settings
        self.services = services
        self.proxy_from = Networks.parse(settings.proxy_from)
        self.xclient_from = Networks.parse(settings.xclient_from)
        self.xforward_from = Networks.parse(settings.xforward_from)
        self.certificates: Certificates | None = None
        if settings.tls is not Tls.OFF:
            self.certificates = Certificates(settings, config.base, section.key, config.source)
        self.offers: dict[tuple[bool, ...], Reply] = {}
        self.authenticator: Authenticator | None = None
        if settings.auth is not Auth.OFF:
            file = None
            if settings.password_file is not None:
                file = PasswordFile(config.base / settings.password_file.expanduser())
                try:
                    file.check()
                except PasswordError as error:
                    raise ConfigError(config.source, [Problem(f"{section.key}.password_file", str(error))]) from error
            self.authenticator = Authenticator(services.engine, file, services.hash_turns)

    def connection(self) -> Server:
        """The protocol of a new connection, for the event loop."""
        from mailward.gateway.server import Server

        return Server(self)
