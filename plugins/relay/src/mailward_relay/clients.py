"""Lists of clients: by address, and by names that DNS confirms (SAV-RLY-04, SMS-RELAY-01)."""

from __future__ import annotations

from collections.abc import Iterable

from mailward_relay.hosts import Hosts, parse_network
from mailward_relay.targets import is_name

ALLOWED = "an address, a prefix (10.0.0.0/8), a dotted mask (10.0.0.0/255.0.0.0), 1.2.*, host.example or *.example"
ANY = ("any", "*")


class Clients:
    """A list of clients, compiled. ``needs_names`` says that the names of an address can matter."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises ValueError, for the administrator, where an entry is none."""
        networks: list[str] = []
        self._exact: set[str] = set()
        self._under: set[str] = set()
        self._everybody = False
        for entry in entries:
            text = entry.strip().lower()
            if text in ANY:
                self._everybody = True
            elif text.startswith("*.") and _is_host(text[2:]):
                self._under.add(text[2:])
            elif _is_host(text):
                self._exact.add(text)
            else:
                networks.append(_checked(entry))
        self._hosts = Hosts(networks)

    @property
    def needs_names(self) -> bool:
        """Whether an entry is a name."""
        return bool(self._exact or self._under)

    @property
    def everybody(self) -> bool:
        """Whether an entry stands for every address of IPv4 or of IPv6."""
        return self._everybody or self._hosts.everything

    def has_address(self, client_ip: str) -> bool:
        """Whether the address alone is listed."""
        return self._everybody or client_ip in self._hosts

    def has_name(self, names: Iterable[str]) -> bool:
        """Whether one of the confirmed names of an address is listed."""
        return any(name in self._exact or self._is_under(name) for name in names)

    def _is_under(self, name: str) -> bool:
        dot = name.find(".") if self._under else -1
        while dot != -1:
            if name[dot + 1 :] in self._under:
                return True
            dot = name.find(".", dot + 1)
        return False


def _is_host(text: str) -> bool:
    """Whether a lower-case entry is a name and not a number: its last label has a letter."""
    return is_name(text) and any(char.isalpha() for char in text.rpartition(".")[2])


def _checked(entry: str) -> str:
    try:
        parse_network(entry)
    except ValueError as error:
        # What looks like an address keeps the finer message; for the rest the whole list of forms helps more.
        looks_numeric = entry.strip()[:1].isdigit() or ":" in entry
        raise error if looks_numeric else ValueError(f"{entry!r} is no client; allowed: {ALLOWED}") from error
    return entry
