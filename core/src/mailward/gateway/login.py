"""AUTH: the mechanisms PLAIN and LOGIN, who is asked, and what failures cost (RFC 4954)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from attrs import frozen

from mailward.engine.engine import Engine
from mailward.gateway.passwords import PasswordError, PasswordFile
from mailward.gateway.replies import LOGIN_BROKEN_OFF, LOGIN_UNREADABLE
from mailward.hooks.log import get_logger
from mailward.values.envelope import Session
from mailward.values.errors import PluginFault
from mailward.values.reply import Reply

Ask = Callable[[str], Awaitable[bytes]]
"""Sends a challenge (base64) and gives the client's next line."""

MECHANISMS = ("PLAIN", "LOGIN")
MAX_CREDENTIAL_BYTES = 1024
FORGET_S = 900.0
MAX_ADDRESSES = 10_000
ADDRESS_FACTOR = 5
DELAY_S = 1.0
MAX_DELAY_S = 5.0
HASHES_AT_A_TIME = 2
_USERNAME, _PASSWORD = "VXNlcm5hbWU6", "UGFzc3dvcmQ6"  # "Username:", "Password:"


@frozen
class Credentials:
    """What a client says to be, and its proof."""

    user: str
    password: str


def _decoded(line: bytes) -> bytes | Reply:
    if line == b"*":
        return LOGIN_BROKEN_OFF
    if line == b"=":
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        return LOGIN_UNREADABLE


def _credentials(user: bytes, password: bytes) -> Credentials | Reply:
    if not user or len(user) + len(password) > MAX_CREDENTIAL_BYTES or b"\0" in user + password:
        return LOGIN_UNREADABLE
    try:
        return Credentials(user.decode("utf-8"), password.decode("utf-8"))
    except UnicodeDecodeError:
        return LOGIN_UNREADABLE


async def plain(first: bytes | None, ask: Ask) -> Credentials | Reply:
    """The PLAIN mechanism (RFC 4616): authorisation identity, user, password, in one line."""
    given = _decoded(await ask("") if first is None else first)
    if isinstance(given, Reply):
        return given
    parts = given.split(b"\0")
    if len(parts) != 3 or parts[0] not in (b"", parts[1]):
        return LOGIN_UNREADABLE
    return _credentials(parts[1], parts[2])


async def login(first: bytes | None, ask: Ask) -> Credentials | Reply:
    """The LOGIN mechanism: user, then password."""
    user = _decoded(await ask(_USERNAME) if first is None else first)
    if isinstance(user, Reply):
        return user
    password = _decoded(await ask(_PASSWORD))
    return password if isinstance(password, Reply) else _credentials(user, password)


WAYS: dict[str, Callable[[bytes | None, Ask], Awaitable[Credentials | Reply]]] = {"PLAIN": plain, "LOGIN": login}


class LoginFailures:
    """Failed log-ins by client address; they are forgotten after a quarter of an hour, or with a good one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def of(self, address: str) -> int:
        """How many an address has had lately."""
        count, since = self._failures.get(address, (0, 0.0))
        return count if self._clock() - since < FORGET_S else 0

    def add(self, address: str) -> int:
        """One more; how many then."""
        count = self.of(address) + 1
        self._failures[address] = (count, self._clock())
        self._failures.move_to_end(address)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return count

    def clear(self, address: str) -> None:
        """A good log-in."""
        self._failures.pop(address, None)


class Authenticator:
    """Asks the plugins, then the password file of the listener."""

    def __init__(self, engine: Engine, file: PasswordFile | None, turns: asyncio.Semaphore) -> None:
        self._engine = engine
        self._file = file
        self._turns = turns

    async def check(self, session: Session, given: Credentials) -> bool | None:
        """Whether the credentials are good; None where nobody could say (a plugin or the file is at fault)."""
        try:
            answer = await self._engine.gate.authenticate(session, given.user, given.password)
            if answer is not None:
                return answer
            if self._file is None:
                return False
            async with self._turns:
                return await asyncio.to_thread(self._file.verify, given.user, given.password)
        except PluginFault:
            return None
        except PasswordError as error:
            get_logger().error("password file", problem=str(error))
            return None


def delay_s(failures: int) -> float:
    """How long the answer to a failed log-in waits: guessing is slow, a typing error hardly is."""
    return min(DELAY_S * failures, MAX_DELAY_S)
