"""The scan servers of a gateway: whom to ask, and whom next when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from mailward.engine.engine import Engine
from mailward.engine.scan_settings import ServerConfig
from mailward.scan.codes import ACCESS, BUSY, CONNECT, DEADLINE, ERROR, FILE, code
from mailward.scan.protocol import Answer
from mailward.scan.remote.key import Key
from mailward.scan.remote.link import Link, Terms
from mailward.scan.template import identity
from mailward.scan.ticket import Ticket
from mailward.values.endpoint import Endpoint
from mailward.values.errors import ScanError
from mailward.values.event import Event, ScanServerBack, ScanServerLost

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
_ASK_ANOTHER = frozenset({BUSY, FILE, ACCESS, ERROR})
"""Answers of a server that another one may better: they are about the server, not about the message."""


class ServersFailed(ScanError):
    """No scan server gave an answer."""


class Server:
    """One scan server, its open links, and whether it is lost."""

    def __init__(self, endpoint: Endpoint, terms: Terms, emit: Callable[[Event], None]) -> None:
        self.endpoint = endpoint
        self.in_progress = 0
        self._terms = terms
        self._emit = emit
        self._idle: list[Link] = []
        self._backoff_s = 0.0
        self._lost_until = 0.0

    @property
    def lost(self) -> bool:
        """Whether it is not to be asked for a while."""
        return monotonic() < self._lost_until

    async def scan(self, ticket: Ticket) -> Answer:
        """Have it judge a message. Raises ScanError; it is lost then, for a while."""
        self.in_progress += 1
        try:
            answer = await self._ask(ticket)
        except ScanError as error:
            if error.reason != FILE:  # which is our own, and not the server's fault
                self._lose(error)
            raise
        finally:
            self.in_progress -= 1
        if self._backoff_s:
            self._backoff_s = 0.0
            self._emit(ScanServerBack(server=str(self.endpoint)))
        if answer.reason == ACCESS:
            self._lose(ScanError(ACCESS, answer.detail))
        return answer

    async def _ask(self, ticket: Ticket) -> Answer:
        link = await self._link()
        used = link.used
        try:
            answer = await self._over(link, ticket)
        except ScanError as error:
            # a link that lay idle may have died without our knowing: that says nothing of the server
            if not used or error.reason in (FILE, DEADLINE):
                raise
            answer = await self._over(await Link.open(self.endpoint, self._terms), ticket)
        return answer

    async def _over(self, link: Link, ticket: Ticket) -> Answer:
        try:
            answer = await link.scan(ticket, self._terms, ticket.crashes)
            ticket.check(answer)
        except BaseException:
            link.abort()
            raise
        self._idle.append(link)
        return answer

    async def _link(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if link.usable:
                return link
            link.abort()
        return await Link.open(self.endpoint, self._terms)

    def _lose(self, error: ScanError) -> None:
        self._backoff_s = min(max(2 * self._backoff_s, FIRST_BACKOFF_S), MAX_BACKOFF_S)
        self._lost_until = monotonic() + self._backoff_s
        self._emit(
            ScanServerLost(
                server=str(self.endpoint), code=code(error.reason), reason=str(error), next_try_s=self._backoff_s
            )
        )

    def close(self) -> None:
        """Hang up all idle links."""
        for link in self._idle:
            link.close()
        self._idle.clear()


class Servers:
    """Has messages judged by scan servers, at most ``sessions`` at a time; the others wait their turn."""

    def __init__(
        self, endpoints: Sequence[Endpoint], terms: Terms, sessions: int, emit: Callable[[Event], None]
    ) -> None:
        self._servers = [Server(endpoint, terms, emit) for endpoint in endpoints]
        self._places = asyncio.Semaphore(sessions)
        self.waiting = 0
        self.answers = 0
        self.failures = 0

    @classmethod
    def of(cls, engine: Engine) -> Servers | None:
        """Those that a gateway's configuration names; None where it names none. Raises ConfigError."""
        config = engine.config
        scan = config.core.scan
        if not scan.servers or scan.server_key is None:
            return None
        key = Key.load(config.resolve(scan.server_key), "scan.server_key", config.source)
        terms = Terms(
            key,
            key.fingerprint(identity(engine)),
            scan.server_config is ServerConfig.SAME,
            scan.by_name,
            scan.connect_timeout_s,
        )
        return cls([Endpoint.parse(text) for text in scan.servers], terms, scan.sessions, engine.emit)

    async def scan(self, ticket: Ticket) -> Answer:
        """The answer of the first server that gives one.

        Raises ServersFailed where none does, ScanError (with the ``crashes`` that were added) where
        the message ended the scan processes of one.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout(ticket.left_s()):
                await self._places.acquire()
        except TimeoutError as error:
            raise ServersFailed(DEADLINE, "no place at a scan server became free") from error
        finally:
            self.waiting -= 1
        try:
            answer = await self._first_answer(ticket)
        finally:
            self._places.release()
        self.answers += 1
        if answer.crashes > ticket.crashes:
            raise ScanError(answer.reason, answer.detail, answer.crashes - ticket.crashes)
        return answer

    async def _first_answer(self, ticket: Ticket) -> Answer:
        failure = ScanError(CONNECT, "all scan servers are lost for the moment")
        for server in sorted(self._servers, key=lambda server: server.in_progress):
            if server.lost:
                continue
            try:
                answer = await server.scan(ticket)
            except ScanError as error:
                self.failures += 1
                failure = error
                if error.reason == FILE:
                    raise
            else:
                if answer.reason not in _ASK_ANOTHER:
                    return answer
                failure = ScanError(answer.reason, answer.detail)
            if not ticket.left_s():
                break
        raise ServersFailed(failure.reason, failure.detail) from failure

    def stop(self) -> None:
        """Hang up."""
        for server in self._servers:
            server.close()
