"""DANE: certificates that TLSA records vouch for (RFC 6698, RFC 7671, RFC 7672)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from mailward import NameNotFound, Resolver, TlsaRecord
from mailward_relay.certificate import CertificateError, public_key, shown_chain

TRUST_ANCHOR, END_ENTITY = 2, 3
"""The usages that SMTP knows; PKIX usages (0, 1) count as unusable (RFC 7672 section 3.1.3)."""

MOST_IN_CHAIN = 10

_SELECT: dict[int, Callable[[bytes], bytes]] = {0: bytes, 1: public_key}
_DIGEST: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}


def usable(record: TlsaRecord) -> bool:
    """Whether SMTP can use a record."""
    return record.usage in (TRUST_ANCHOR, END_ENTITY) and record.selector in _SELECT and record.matching in _DIGEST


def matches(record: TlsaRecord, certificate: bytes) -> bool:
    """Whether the data of a usable record are those of a certificate (DER)."""
    try:
        return _DIGEST[record.matching](_SELECT[record.selector](certificate)) == record.data
    except CertificateError:
        return False


@frozen
class Pins:
    """What binds connections to one host.

    ``name`` is the one that the records stand under, and that the host is asked for (RFC 7672 section 8.1);
    ``records`` are those that can be used; where none can, TLS is demanded and no more (RFC 7672 section
    2.2). ``anchor`` is a certificate of the host's that a record of usage 2 vouches for: with it OpenSSL
    checks chain and name.
    """

    name: str
    records: tuple[TlsaRecord, ...]
    anchor: bytes = b""

    def context(self, unverified: ssl.SSLContext) -> ssl.SSLContext:
        """The TLS context to connect with, in place of ``unverified``."""
        if not self.anchor:
            return unverified
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=self.anchor)
        return context

    def match(self, shown: Any) -> bool:
        """Whether the certificate that a host showed (an SSL object) is vouched for."""
        if not self.records or self.anchor:
            return True
        own = shown.getpeercert(binary_form=True) or b""
        return any(matches(record, own) for record in self.records if record.usage == END_ENTITY)

    def anchored(self, shown: Any) -> Pins | None:
        """Pins by which the chain that a host showed can be verified; None where no record speaks of it."""
        anchors = [record for record in self.records if record.usage == TRUST_ANCHOR]
        for certificate in shown_chain(shown)[:MOST_IN_CHAIN] if anchors else ():
            if any(matches(record, certificate) for record in anchors):
                return evolve(self, anchor=certificate)
        return None


@frozen
class Dane:
    """Asks for TLSA records."""

    resolver: Resolver

    async def pins(self, host: str, port: int) -> Pins | None:
        """What binds connections to a host; None where it has no authentic TLSA record, or no authentic address.

        Raises DnsFault where DNS did not say: without the answer the host must not be used (RFC 7672
        section 2.1.2).
        """
        try:
            names = await self.resolver.vouched_names(host)
        except NameNotFound:
            return None
        for name in names:
            records = await self.resolver.tlsa(name, port)
            if records:
                return Pins(name, tuple(filter(usable, records)))
        return None
