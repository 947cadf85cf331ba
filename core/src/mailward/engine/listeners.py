"""``[listener.NAME]``: what mail is accepted on, each with settings of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from mailward.engine.convert import structure
from mailward.engine.gateway_settings import WHOLE_GATEWAY, Auth, ClientCertificates, GatewaySettings, Tls
from mailward.values.errors import ConfigError, Problem


@frozen
class ListenerSection:
    """A listener: its name (empty: that of ``[gateway]`` itself) and its settings, those of the gateway below them."""

    name: str
    settings: GatewaySettings

    @property
    def key(self) -> str:
        """The section of the configuration that it is: what messages about its settings begin with."""
        return f"listener.{self.name}" if self.name else "gateway"


def read_listeners(
    gateway: GatewaySettings, table: Mapping[str, Any], named: Mapping[str, Any], source: str
) -> tuple[ListenerSection, ...]:
    """The listeners of a configuration: that of ``[gateway]`` where it says ``listen`` or is the only one, then
    the named ones. Raises ConfigError with every problem found.
    """
    problems: list[Problem] = []
    found: list[ListenerSection] = []
    if not named or "listen" in table:
        found.append(ListenerSection("", gateway))
        problems += _contradictions("gateway", gateway)
    for name, own in named.items():
        key = f"listener.{name}"
        try:
            section = _section(key, name, table, own, source)
        except ConfigError as error:
            problems += error.problems
            continue
        found.append(section)
        problems += _contradictions(key, section.settings)
    if problems:
        raise ConfigError(source, problems)
    return tuple(found)


def _section(key: str, name: str, table: Mapping[str, Any], own: object, source: str) -> ListenerSection:
    if not isinstance(own, Mapping):
        raise ConfigError(source, [Problem(key, f"is not a table; write [{key}]")])
    problems = [
        Problem(f"{key}.{name}", "is a setting of the whole gateway, not of one listener; write it in [gateway]")
        for name in sorted(WHOLE_GATEWAY & own.keys())
    ]
    if "listen" not in own:
        problems.append(Problem(f"{key}.listen", "is missing", allowed='a list, as in ["[::]:587"]'))
    if problems:
        raise ConfigError(source, problems)
    return ListenerSection(name, structure(GatewaySettings, {**table, **own}, key, source))


def _contradictions(key: str, settings: GatewaySettings) -> Iterator[Problem]:
    if not settings.listen:
        yield Problem(f"{key}.listen", "is empty: nobody could connect", allowed='a list, as in ["127.0.0.1:25"]')
    encrypts = settings.tls is not Tls.OFF
    if encrypts and settings.tls_certificate is None:
        yield Problem(f"{key}.tls_certificate", "is missing", allowed="a PEM file; TLS needs a certificate")
    if settings.tls_client_certificates is not ClientCertificates.OFF and settings.tls_client_ca is None:
        yield Problem(
            f"{key}.tls_client_ca", "is missing", allowed="a PEM file; certificates of clients need one to vouch"
        )
    if settings.pipe_connect and settings.greeting_delay_s:
        yield Problem(
            f"{key}.greeting_delay_s",
            "shows nobody up where clients may speak before the greeting, and takes the time that this saves",
            f"{settings.greeting_delay_s:g} s",
            '"0 s", or pipe_connect = false',
        )
    if settings.auth is not Auth.OFF and not encrypts and not settings.auth_without_tls:
        yield Problem(
            f"{key}.auth",
            "passwords would travel in the clear",
            settings.auth.value,
            'tls = "starttls", "required" or "implicit"; or auth_without_tls = true',
        )
