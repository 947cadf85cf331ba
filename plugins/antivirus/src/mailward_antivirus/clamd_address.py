"""Where a clamd listens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

MAX_REPLY_BYTES = 4096
FORMS = "unix:/path/of/socket, host:port or [IPv6 address]:port"

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/\s]+)):(\d{1,5})")


@frozen
class ClamdAddress:
    """Where clamd listens: a socket file (``path``), or ``host`` and ``port``."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> ClamdAddress:
        """Read ``unix:/path`` or ``host:port``; ValueError says what is allowed."""
        if text.startswith("unix:") and text != "unix:":
            return cls(path=text.removeprefix("unix:"))
        match = _TCP.fullmatch(text)
        if match is None or not 0 < int(match[3]) < 65_536:
            raise ValueError(f"{text!r} is no address of clamd; allowed: {FORMS}")
        return cls(host=match[1] or match[2], port=int(match[3]))

    def under(self, base: Path) -> ClamdAddress:
        """The same address, a relative socket path starting at ``base``."""
        return ClamdAddress(path=str(base / self.path)) if self.path else self

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection; OSError where there is none to be had."""
        if self.path:
            return await asyncio.open_unix_connection(self.path, limit=MAX_REPLY_BYTES)
        return await asyncio.open_connection(self.host, self.port, limit=MAX_REPLY_BYTES)

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


def addresses(instance: object, attribute: Any, texts: Sequence[str]) -> None:
    """A validator: every text is an address."""
    for text in texts:
        ClamdAddress.parse(text)
