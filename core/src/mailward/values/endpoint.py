"""A host and a port, as settings name them: ``host:port``, ``[v6]:port``."""

from __future__ import annotations

import ipaddress

from attrs import frozen

FORMS = "host:port or [address]:port, port 1 to 65535"


@frozen
class Endpoint:
    """Where a server is reached, or listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host:port``; raises ValueError that says what is allowed."""
        host, colon, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host != bare
        if not colon or not bare or (":" in bare) is not bracketed or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} is not a host and a port; allowed: {FORMS}")
        if not 0 <= int(port) <= 65_535:
            raise ValueError(f"{text!r}: the port is out of range; allowed: {FORMS}")
        return cls(bare, int(port))

    @property
    def is_this_host(self) -> bool:
        """Whether the host is certainly the machine itself: a loopback address, or ``localhost``."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
