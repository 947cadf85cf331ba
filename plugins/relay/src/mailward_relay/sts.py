"""MTA-STS: the policy by which a domain says that its mail hosts speak TLS and who they are (RFC 8461)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any

from mailward import DnsFault, Expiring, NameNotFound, Resolver
from mailward_relay.sts_policy import Known, Policy, PolicyError, PolicyFolder

MAX_POLICY_BYTES = 65_536
FETCH_TIMEOUT_S = 12.0
"""For a policy, from looking up its host to its end: it stays within the time that a plugin has to name a route."""

ADDRESS_TIMEOUT_S = 5.0
"""For one address of the host."""

RETRY_S = 300.0
"""How long a failed fetch is not tried again (RFC 8461 section 3.3)."""

NO_RECORD_S = 300.0
MOST_ADDRESSES = 2

_RECORD = re.compile(r"v=STSv1\s*;(?:.*;)?\s*id=([A-Za-z0-9]{1,32})\s*(?:;.*)?", re.DOTALL)
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,10})[ \t]*\r?$")


class PolicyStore:
    """Policies of domains, fetched when they are first needed and kept as long as they say."""

    def __init__(
        self,
        resolver: Resolver,
        context: ssl.SSLContext,
        monotonic: Callable[[], float],
        log: Any,
        folder: PolicyFolder,
        port: int = 443,
    ) -> None:
        """``context`` verifies the hosts that serve policies; in ``folder`` these outlive the process."""
        self._resolver = resolver
        self._context = context
        self._log = log
        self._port = port
        self._folder = folder
        self._looked: Expiring[str, bool] = Expiring(monotonic)
        self._known: Expiring[str, Known] = Expiring(monotonic)
        self._ids: Expiring[str, str] = Expiring(monotonic)
        self._failed: Expiring[str, str] = Expiring(monotonic)
        self._under_way: dict[str, asyncio.Lock] = {}

    async def of(self, domain: str) -> Policy | None:
        """The policy of a domain, None where it has none; never raises for what a domain or DNS does.

        A policy that is known stays in force where its record cannot be looked up (section 3.1).
        """
        lock = self._under_way.setdefault(domain, asyncio.Lock())
        try:
            async with lock:  # a hundred messages to one domain fetch its policy once
                return await self._of(domain)
        finally:
            if not lock.locked():
                self._under_way.pop(domain, None)

    async def _of(self, domain: str) -> Policy | None:
        known = self._known.get(domain) or self._stored(domain)
        kept = known.policy if known is not None else None
        record_id = await self._record_id(domain)
        if not record_id or (known is not None and known.id == record_id) or self._failed.get(domain) == record_id:
            return kept
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                policy = Policy.parse(await self._fetch(domain))
        except (OSError, PolicyError, DnsFault, NameNotFound, UnicodeDecodeError, asyncio.IncompleteReadError) as error:
            self._log.warning("MTA-STS policy not fetched", domain=domain, detail=str(error) or type(error).__name__)
            self._failed.put(domain, record_id, RETRY_S)
            return kept
        known = Known(record_id, policy)
        self._known.put(domain, known, policy.max_age_s)
        self._folder.write(domain, known)
        return policy

    def _stored(self, domain: str) -> Known | None:
        """What this process, or another one, has kept of a domain."""
        if self._looked.get(domain):
            return None
        self._looked.put(domain, True, NO_RECORD_S)
        found = self._folder.read(domain)
        if found is None:
            return None
        known, left_s = found
        self._known.put(domain, known, left_s)
        return known

    async def _record_id(self, domain: str) -> str:
        found = self._ids.get(domain)
        if found is not None:
            return found
        try:
            records = [text for text in await self._resolver.txt(f"_mta-sts.{domain}") if text.startswith("v=STSv1")]
        except (NameNotFound, DnsFault):
            records = []
        match = _RECORD.fullmatch(records[0]) if len(records) == 1 else None
        record_id = match[1] if match else ""
        self._ids.put(domain, record_id, NO_RECORD_S)
        return record_id

    async def _fetch(self, domain: str) -> str:
        host = f"mta-sts.{domain}"
        fault: OSError = OSError(f"{host} has no address")
        for address in (await self._resolver.addresses(host))[:MOST_ADDRESSES]:
            try:
                async with asyncio.timeout(ADDRESS_TIMEOUT_S):
                    return await self._get(host, address)
            except OSError as error:
                fault = error
        raise fault

    async def _get(self, host: str, address: str) -> str:
        """One request; redirects are not followed, and no more than a policy may hold is read (section 3.3)."""
        reader, writer = await asyncio.open_connection(
            address, self._port, ssl=self._context, server_hostname=host, limit=MAX_POLICY_BYTES
        )
        try:
            # HTTP/1.0: the answer ends with the connection and comes in no chunks.
            writer.write(
                f"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n".encode()
            )
            head = await self._head(reader)
            status = head.split(b"\r\n", 1)[0].split(b" ")
            if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or status[1] != b"200":
                raise PolicyError(f"{host} answered {b' '.join(status[1:2]).decode('ascii', 'replace') or 'nothing'}")
            if not re.search(rb"(?im)^content-type:[ \t]*text/plain[ \t]*(?:;|\r?$)", head):
                raise PolicyError(f"{host} serves no text/plain")
            body = b""
            while len(body) <= MAX_POLICY_BYTES and (piece := await reader.read(MAX_POLICY_BYTES)):
                body += piece
        finally:
            writer.close()
        if len(body) > MAX_POLICY_BYTES:
            raise PolicyError(f"{host} serves more than {MAX_POLICY_BYTES} bytes")
        announced = _LENGTH.search(head)
        if announced is not None and len(body) != int(announced[1]):
            raise PolicyError(f"{host} announces {int(announced[1])} bytes and serves {len(body)}")
        return body.decode("ascii")

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise PolicyError("the answer's head has no end") from error
