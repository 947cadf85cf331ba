"""What DNS says of clients and senders: facts are refusals for good, faults are refusals for now."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from attrs import field, frozen

from mailward import Address, DnsFault, MailExchanger, NameNotFound, Resolver
from mailward.engine.gateway_settings import GatewaySettings
from mailward.gateway.clients import Named, look_up, sender_refusal
from mailward.gateway.replies import CLIENT_NAME_UNKNOWN, NO_CLIENT_NAME, NO_SENDER_DOMAIN, SENDER_DOMAIN_UNKNOWN
from mailward.values.reply import Reply

FAULT = ("fault",)
DENY = GatewaySettings(deny_unresolved_clients=True)
NAMES = GatewaySettings(client_names=True)


@frozen
class Dns:
    """A resolver that knows what it is told; a value of `FAULT` is a fault."""

    mx_of: dict[str, tuple[str, ...]] = field(factory=dict)
    addresses_of: dict[str, tuple[str, ...]] = field(factory=dict)
    names_of: dict[str, tuple[str, ...]] = field(factory=dict)

    def _answer(self, table: dict[str, tuple[str, ...]], key: str) -> tuple[str, ...]:
        if key not in table:
            raise NameNotFound(key)
        if table[key] == FAULT:
            raise DnsFault(key)
        return table[key]

    async def mx(self, domain: str) -> tuple[MailExchanger, ...]:
        return tuple(MailExchanger(10, host) for host in self._answer(self.mx_of, domain))

    async def addresses(self, host: str) -> tuple[str, ...]:
        return self._answer(self.addresses_of, host)

    async def names(self, address: str) -> tuple[str, ...]:
        return self._answer(self.names_of, address)

    async def confirmed_names(self, address: str) -> tuple[str, ...]:
        names = await self.names(address)
        return tuple(name for name in names if address in self.addresses_of.get(name, ()))


DNS = Dns(
    mx_of={
        "good.example": ("mx1.good.example", "mx2.good.example"),
        "half.example": ("gone.half.example", "mx2.good.example"),
        "dead.example": ("gone.dead.example",),
        "null.example": ("",),
        "fault.example": FAULT,
        "shaky.example": ("gone.example", "shaky.host.example"),
    },
    addresses_of={
        "mx1.good.example": ("192.0.2.1",),
        "mx2.good.example": ("192.0.2.2",),
        "plain.example": ("192.0.2.3",),
        "shaky.host.example": FAULT,
        "addressfault.example": FAULT,
    },
    names_of={"192.0.2.1": ("mx1.good.example",), "192.0.2.9": ("liar.example",), "192.0.2.8": FAULT},
)


@pytest.mark.parametrize(
    ("sender", "refusal"),
    [
        ("", None),
        ("a@good.example", None),
        ("a@half.example", None),
        ("a@plain.example", None),
        ("a@[192.0.2.77]", None),
        ("a@dead.example", NO_SENDER_DOMAIN),
        ("a@null.example", NO_SENDER_DOMAIN),
        ("a@nowhere.example", NO_SENDER_DOMAIN),
        ("a@fault.example", SENDER_DOMAIN_UNKNOWN),
        ("a@shaky.example", SENDER_DOMAIN_UNKNOWN),
        ("a@addressfault.example", SENDER_DOMAIN_UNKNOWN),
    ],
)
def test_a_sender_needs_a_domain_that_receives_mail(sender: str, refusal: Reply | None) -> None:
    assert asyncio.run(sender_refusal(cast(Resolver, DNS), Address.parse(sender))) == refusal


@pytest.mark.parametrize(
    ("address", "settings", "named"),
    [
        ("192.0.2.1", GatewaySettings(), Named()),
        ("192.0.2.1", NAMES, Named("mx1.good.example")),
        ("192.0.2.9", NAMES, Named()),
        ("192.0.2.50", NAMES, Named()),
        ("192.0.2.8", NAMES, Named()),
        ("192.0.2.1", DENY, Named("mx1.good.example")),
        ("192.0.2.9", DENY, Named()),
        ("192.0.2.50", DENY, Named(refusal=NO_CLIENT_NAME)),
        ("192.0.2.8", DENY, Named(refusal=CLIENT_NAME_UNKNOWN)),
    ],
)
def test_a_client_has_a_name_or_is_refused_where_that_is_wanted(
    address: str, settings: GatewaySettings, named: Named
) -> None:
    assert asyncio.run(look_up(cast(Resolver, DNS), address, settings)) == named


def test_faults_are_temporary_and_facts_are_not() -> None:
    assert CLIENT_NAME_UNKNOWN.temporary
    assert SENDER_DOMAIN_UNKNOWN.temporary
    assert not NO_CLIENT_NAME.temporary
    assert not NO_SENDER_DOMAIN.temporary
