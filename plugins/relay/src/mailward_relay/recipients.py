"""The recipient check: whether a local recipient exists, asked before the message comes (RFC 5321 section 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mailward import Address, Check, Clock, Expiring, Masks, PeerError, Reply
from mailward_relay.directory import Directory
from mailward_relay.recipient_settings import InDoubt, RecipientSettings

NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
UNKNOWN_NOW = Reply(451, "4.1.1", "Whether this user exists cannot be found out now, try again later")

MOST_FILE_BYTES = 64 << 20

Source = Callable[[Address], Awaitable[bool]]
"""Says whether an address exists; raises PeerError where it cannot say."""

_Asked = Callable[[Address, float], Awaitable[bool]]
"""The same, within so many seconds."""


class Recipients:
    """Asks the sources in the order of their cost: list and file, directory, next hop."""

    def __init__(
        self,
        settings: RecipientSettings,
        resolve_path: Callable[[str], Path],
        clock: Clock,
        log: Any,
        call_forward: Source,
    ) -> None:
        """Raises ValueError, naming the setting, where one is wrong."""
        self._settings = settings
        self._file = resolve_path(settings.file) if settings.file else None
        self._log = log
        self._directory: Directory | None = None
        if settings.ldap.servers:
            try:
                self._directory = Directory(settings.ldap, resolve_path, clock.monotonic)
            except ValueError as error:
                raise ValueError(f"recipients.ldap: {error}") from error
        self._sources = [source for source in (self._in_directory, self._at_next_hop) if self._asks(source)]
        self._call_forward = call_forward
        self._known: Expiring[str, bool] = Expiring(clock.monotonic)
        self._addresses: frozenset[str] = frozenset()
        self._masks = Masks()
        self.load()

    def load(self) -> None:
        """Read the file again. Raises ValueError where it cannot be; what was read before stays then."""
        masks = [*self._settings.listed]
        if self._file is not None:
            masks += _read(self._file)
        plain = frozenset(mask.lower() for mask in masks if not set(mask) & set("*?\\"))
        self._masks = Masks([mask for mask in masks if mask.lower() not in plain])
        self._addresses = plain
        self._known.clear()

    def _asks(self, source: _Asked) -> bool:
        return self._directory is not None if source == self._in_directory else self._settings.call_forward

    @property
    def is_on(self) -> bool:
        """Whether there is any source; without one every recipient exists."""
        return bool(self._settings.listed or self._file or self._sources)

    async def refusal(self, address: Address, until: float) -> Reply | None:
        """The refusal of a local recipient, or None; sources that do not answer are waited for ``until`` then.

        ``until`` is a time of the event loop.
        """
        # RFC 5321 section 4.5.1: postmaster is everywhere.
        if not self.is_on or address.local.lower() == "postmaster" or self._is_listed(address):
            return None
        known = self._known.get(str(address))
        if known is None:
            known = await self._ask(address, until)
        if known is None:
            return UNKNOWN_NOW if self._settings.in_doubt is InDoubt.DEFER else None
        return None if known else NO_SUCH_USER

    def _is_listed(self, address: Address) -> bool:
        return any(key in self._addresses or self._masks.match(key) for key in address.keys)

    async def _ask(self, address: Address, until: float) -> bool | None:
        """Whether an address exists; None where a source that could have known gave no answer."""
        doubt = False
        for place, source in enumerate(self._sources):
            left_s = max(0.0, until - asyncio.get_running_loop().time())
            try:
                if await source(address, left_s / (len(self._sources) - place)):
                    self._known.put(str(address), True, self._settings.known_cache_s)
                    return True
            except PeerError as error:
                self._log.warning("recipient cannot be checked", recipient=str(address), detail=str(error))
                doubt = True
        if doubt:
            return None
        self._known.put(str(address), False, self._settings.unknown_cache_s)
        return False

    async def _in_directory(self, address: Address, within_s: float) -> bool:
        assert self._directory is not None
        return await self._directory.knows(address, within_s)

    async def _at_next_hop(self, address: Address, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self._call_forward(address)
        except TimeoutError:
            raise PeerError(f"no next hop gave an answer in {within_s:.3g} s") from None

    async def check(self) -> list[Check]:
        """Whether the directory answers, for `mailward check`."""
        if self._directory is None:
            return []
        name = f"directory {self._settings.ldap.servers[0]}"
        try:
            await self._directory.knows(Address("postmaster", "localhost"))
        except PeerError as error:
            advice = "recipients that only it knows are put off until it answers: see relay.recipients.in_doubt"
            return [Check(name, False, str(error), advice)]
        return [Check(name, detail="answers")]

    async def close(self) -> None:
        """Part from the directory."""
        if self._directory is not None:
            await self._directory.close()


def _read(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise ValueError(f"recipients.file: {path} is larger than {MOST_FILE_BYTES >> 20} MB")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "is not UTF-8"
        raise ValueError(f"recipients.file: {path} cannot be read: {reason}") from error
    found = [line.partition("#")[0].strip() for line in lines]
    wrong = next((f"line {number}: {mask!r}" for number, mask in enumerate(found, 1) if mask and "@" not in mask), "")
    if wrong:
        raise ValueError(f"recipients.file: {path}: {wrong} is no mask of addresses; allowed: user@domain, *@domain")
    return [mask for mask in found if mask]
