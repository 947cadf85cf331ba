"""Manners: how the hosts of a route are spoken to, settled once when the configuration is loaded."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from mailward import NextHop, Secret
from mailward_relay.route_settings import RouteSettings, Tls
from mailward_relay.settings import RelaySettings

BY_MX = "+mx"
STS = "+sts"
DANE = "+dane"
"""Ends of the names of manners that MX delivery asks for: always the first, and the others where a domain's policy
is stricter than ours."""

_VARIED: dict[str, dict[str, Any]] = {
    BY_MX: {"by_mx": True},
    STS: {"tls": Tls.VERIFY, "sts": True},
    DANE: {"dane": True},
}


@frozen(eq=False)
class Manner:
    """One way to speak to hosts.

    ``unverified`` and ``verified`` are TLS contexts; the second checks who answers. ``wants_dane`` and
    ``wants_sts`` say what MX delivery looks up; ``by_mx``: the hosts were found by it, so that they may be
    ourselves; ``dane``: hosts with TLSA records are checked against these instead.
    """

    name: str
    tls: Tls
    unverified: ssl.SSLContext = field(repr=False)
    verified: ssl.SSLContext = field(repr=False)
    lmtp: bool = False
    implicit_tls: bool = False
    wants_dane: bool = False
    wants_sts: bool = False
    by_mx: bool = False
    sts: bool = False
    dane: bool = False
    user: str = ""
    password: Secret = field(factory=Secret)
    password_in_clear: bool = False
    source: dict[int, str] = field(factory=dict)
    max_per_host: int = 4

    @property
    def demands_tls(self) -> bool:
        """Whether nothing is said in the clear."""
        return self.tls in (Tls.ENCRYPT, Tls.VERIFY)

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context that goes with `tls`."""
        return self.verified if self.tls is Tls.VERIFY else self.unverified


class Manners:
    """The manners by name; the empty name is that of ``[relay]`` itself."""

    def __init__(self, settings: RelaySettings, resolve_path: Callable[[str], Path]) -> None:
        """Raises ValueError where a file cannot be read or settings contradict each other."""
        self._resolve_path = resolve_path
        self.plain = self._make("", RouteSettings(), settings)
        self._manners = {"": self.plain}
        for name, route in settings.route.items():
            try:
                self._manners[name] = self._make(name, route, settings)
            except ValueError as error:
                raise ValueError(f"route.{name}: {error}") from error

    def get(self, name: str) -> Manner | None:
        """The manner of this name; names that end in `BY_MX`, `STS` or `DANE` are those of MX delivery."""
        found = self._manners.get(name)
        if found is None:
            base, plus, how = name.rpartition("+")
            plain = self.get(base) if plus else None
            varied = _VARIED.get(plus + how)
            if plain is not None and varied is not None:
                found = self._manners[name] = evolve(plain, name=name, **varied)
        return found

    def limit_of(self, hop: NextHop) -> int:
        """How many links a next hop may have at a time."""
        return (self.get(hop.route) or self.plain).max_per_host

    def _make(self, name: str, route: RouteSettings, settings: RelaySettings) -> Manner:
        tls = Tls(settings.tls if route.tls is None else route.tls)
        if bool(route.user) != bool(route.password):
            raise ValueError("user and password go together; set both or neither")
        if route.client_key and not route.client_cert:
            raise ValueError("client_key is set without client_cert")
        if route.implicit_tls and tls is Tls.NONE:
            raise ValueError("implicit_tls contradicts tls = 'none'")
        authorities = route.ca_file or settings.ca_file
        return Manner(
            name,
            tls,
            unverified=self._context(route, ""),
            verified=self._context(route, authorities, verifies=True),
            lmtp=route.lmtp,
            implicit_tls=route.implicit_tls,
            wants_dane=settings.dane if route.dane is None else route.dane,
            wants_sts=settings.mta_sts if route.mta_sts is None else route.mta_sts,
            user=route.user,
            password=route.password,
            password_in_clear=route.password_in_clear,
            source={ipaddress.ip_address(text).version: text for text in route.source},
            max_per_host=settings.max_per_host if route.max_per_host is None else route.max_per_host,
        )

    def _context(self, route: RouteSettings, authorities: str, *, verifies: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verifies:
            self._load("ca_file", authorities, lambda path: context.load_verify_locations(path))
            if not authorities:
                context.load_default_certs()
        else:
            # Opportunistic TLS: encryption against listeners, no check of who answers (RFC 7435).
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        key = str(self._resolve_path(route.client_key)) if route.client_key else None
        self._load("client_cert", route.client_cert, lambda path: context.load_cert_chain(path, key))
        return context

    def _load(self, setting: str, name: str, load: Callable[[str], None]) -> None:
        if not name:
            return
        path = self._resolve_path(name)
        try:
            load(str(path))
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise ValueError(f"{setting} = {name!r}: {path} (or its key) cannot be used: {reason}") from error
