"""How settings name a name server; apart from the resolver, so that reading them loads no DNS."""

from __future__ import annotations

import ipaddress


def name_server(text: str) -> tuple[str, int]:
    """Address and port of a name server as settings name it. Raises ValueError that says what is allowed."""
    address, port = text, "53"
    if text.startswith("["):
        address, closed, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if rest else port if closed else ""
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        port = ""
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"{text!r} is no name server; allowed: 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:53")
    return address, int(port)
