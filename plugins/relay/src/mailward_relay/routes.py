"""The routing tables: compiled once, looked up by the labels of a domain (SAV-RTE-01..06, KAV-RTE-01)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Container, Mapping
from functools import partial
from pathlib import Path

from mailward import Masks, domain_spellings
from mailward_relay.targets import ByExchange, ByRoute, Target, is_name, parse_target

_EVERYTHING = "*"
_MASKS_ALLOWED = "a domain, *.domain (its subdomains), *, or an address"


def literal_key(domain: str) -> str:
    """An address literal (RFC 5321 section 4.1.3), bare or in brackets, in one spelling; empty where it is none."""
    inner = domain[1:-1] if domain.startswith("[") and domain.endswith("]") else domain
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    try:
        return f"[{ipaddress.ip_address(inner)}]"
    except ValueError:
        return ""


class LocalTable:
    """The domains of the house and where their mail goes; only left sides are local (SAV-RTE-01).

    The exact name beats wildcards, the longer wildcard the shorter, anything beats ``*`` (SAV-RTE-04).
    """

    def __init__(self, entries: Mapping[str, str], read: Callable[[str], Target]) -> None:
        self._exact: dict[str, Target] = {}
        self._under: dict[str, Target] = {}
        self._rest: Target | None = None
        for mask, text in entries.items():
            try:
                self._add(mask.strip().lower(), read(text))
            except ValueError as error:
                raise ValueError(f"local: {mask!r} = {text!r}: {error}") from error

    def _add(self, mask: str, target: Target) -> None:
        if mask == _EVERYTHING:
            self._rest = target
            return
        table, name = (self._under, mask[2:]) if mask.startswith("*.") else (self._exact, mask)
        name = (literal_key(name) if table is self._exact else "") or name
        if not is_name(name) and not literal_key(name):
            raise ValueError(f"the name is no domain; allowed: {_MASKS_ALLOWED}")
        for spelling in domain_spellings(name):
            if spelling in table:
                raise ValueError("the domain is named twice; allowed: one entry for each")
            table[spelling] = target

    @property
    def is_everything(self) -> bool:
        """Whether ``*`` makes every domain local."""
        return self._rest is not None

    def find(self, domain: str) -> Target | None:
        """The target of a local domain, None for any other."""
        if domain.startswith("["):
            return self._exact.get(literal_key(domain), self._rest)
        found = self._exact.get(domain)
        dot = domain.find(".")
        while found is None and dot != -1:
            found = self._under.get(domain[dot + 1 :])
            dot = domain.find(".", dot + 1)
        return self._rest if found is None else found


class ForwardTable:
    """Masks of domains in order; the first that matches wins (KAV-RTE-01)."""

    def __init__(self, entries: Mapping[str, str], read: Callable[[str], Target]) -> None:
        self._targets: list[Target] = []
        self._exact: dict[str, int] = {}
        self._under: dict[str, int] = {}
        self._general: dict[str, int] = {}
        for place, (mask, text) in enumerate(entries.items()):
            try:
                self._targets.append(read(text))
            except ValueError as error:
                raise ValueError(f"forward: {mask!r} = {text!r}: {error}") from error
            self._add(mask.strip().lower(), place)
        self._masks = Masks(list(self._general))

    def _add(self, mask: str, place: int) -> None:
        if mask in ("any", _EVERYTHING):
            self._general.setdefault(_EVERYTHING, place)
        elif literal := literal_key(mask):
            self._exact.setdefault(literal, place)
        elif mask.startswith("*.") and is_name(mask[2:]):
            for name in domain_spellings(mask[2:]):
                self._under.setdefault(name, place)
        elif is_name(mask):
            for name in domain_spellings(mask):
                self._exact.setdefault(name, place)
        elif "*" in mask or "?" in mask:
            self._general.setdefault(mask, place)
        else:
            raise ValueError(f"forward: {mask!r} is no mask of domains; allowed: a domain, any, or a mask with * and ?")

    def find(self, domain: str) -> Target | None:
        """The target of the first mask that matches ``domain``, or None."""
        domain = literal_key(domain) or domain if domain.startswith("[") else domain
        spelt = domain_spellings(domain) if self._masks else ()
        places = [self._exact.get(domain), *(self._general.get(self._masks.which(one) or "") for one in spelt)]
        dot = domain.find(".")
        while dot != -1 and self._under:
            places.append(self._under.get(domain[dot + 1 :]))
            dot = domain.find(".", dot + 1)
        first = min((place for place in places if place is not None), default=None)
        return None if first is None else self._targets[first]


class Routes:
    """The whole answer: local entries win over forward entries, these over the default (SAV-RTE-05)."""

    def __init__(
        self,
        local: Mapping[str, str],
        forward: Mapping[str, str],
        default: str,
        resolve_path: Callable[[str], Path],
        names: Container[str] = (),
    ) -> None:
        """``names`` are those of the routes. Raises ValueError where an entry is wrong."""

        def read(text: str, *, bare_is_domain: bool = False) -> Target:
            target = parse_target(text, resolve_path, bare_is_domain=bare_is_domain)
            if isinstance(target, ByRoute) and target.name not in names:
                raise ValueError(f"there is no route {target.name!r}; write [relay.route.{target.name or 'NAME'}]")
            return target

        self.local = LocalTable(local, read)
        self._forward = ForwardTable(forward, partial(read, bare_is_domain=True))
        try:
            self._default = read(default)
        except ValueError as error:
            raise ValueError(f"default = {default!r}: {error}") from error
        if not default.strip() and not local and not forward:
            # SAV-RTE-05: a gateway that knows no domain of its own has to be told where mail goes.
            raise ValueError("default is empty and so are local and forward; write default = 'mx' or a host")

    def is_local(self, domain: str) -> bool:
        """Whether a domain is a left side of ``local``; a right side never makes one local (SAV-RTE-06)."""
        return self.local.find(domain) is not None

    def find(self, domain: str) -> Target:
        """Where mail for a domain goes."""
        target = self.local.find(domain) or self._forward.find(domain) or self._default
        return ByExchange(domain) if target == ByExchange() else target
