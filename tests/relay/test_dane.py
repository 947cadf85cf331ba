"""DANE: a zone signed with DNSSEC, a resolver that validates it, and hosts with TLSA records (RFC 7672)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.dnssec
import dns.name
import dns.rdataset
import dns.zone
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from mailward import Address, DnsFault, Envelope, MessageInfo, Recipient, Resolver, TlsaRecord
from mailward_relay.certificate import CertificateError, public_key
from mailward_relay.dane import Pins, matches, usable

ZONE = "signed.example"
OFFERED = ("PIPELINING", "SIZE", "STARTTLS")
INFO = MessageInfo("m1", Envelope(), 3)
RECORDS = """\
$ORIGIN signed.example.
@ 300 IN SOA ns hostmaster 1 3600 600 86400 300
@ 300 IN NS ns
ns 300 IN A 127.0.0.1
{hosts}
"""


class House:
    """Certificates of the hosts, and what their TLSA records say."""

    def __init__(self, authority: trustme.CA) -> None:
        self.other = trustme.CA()
        self.leaf = authority.issue_cert("good.signed.example")
        self.der = ssl.PEM_cert_to_DER_cert(self.leaf.cert_chain_pems[0].bytes().decode())
        self.authority_der = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())

    def record(self, usage: int, selector: int, matching: int, der: bytes) -> str:
        data = public_key(der) if selector else der
        digest = {0: lambda x: x, 1: lambda x: hashlib.sha256(x).digest(), 2: lambda x: hashlib.sha512(x).digest()}
        return f"{usage} {selector} {matching} {digest[matching](data).hex()}"


@pytest.fixture(scope="module")
def house(authority: trustme.CA) -> House:
    return House(authority)


def zone_text(house: House, port: int) -> str:
    wrong = "3 1 1 " + "00" * 32
    tlsa = {
        "good": [house.record(3, 1, 1, house.der)],
        "whole": [house.record(3, 0, 0, house.der)],
        "long": [house.record(3, 0, 2, house.der)],
        "second": [wrong, house.record(3, 1, 1, house.der)],
        "wrong": [wrong],
        "anchor": [house.record(2, 0, 1, house.authority_der)],
        "pkix": ["1 1 1 " + "00" * 32],
        "none": [],
    }
    lines = []
    for name, records in tlsa.items():
        lines += [f"{name} 300 IN A 127.0.0.1", f"d-{name} 300 IN MX 10 {name}"]
        lines += [f"_{port}._tcp.{name} 300 IN TLSA {record}" for record in records]
    lines += [f"d-{name} 300 IN MX 10 {name}" for name in ("alias", "own", "outward", "forged", "forged-tlsa")]
    lines += [
        "alias 300 IN CNAME good",
        "own 300 IN CNAME none",
        f"_{port}._tcp.own 300 IN TLSA {wrong}",
        "outward 300 IN CNAME host.plain.example.",
        f"_{port}._tcp.outward 300 IN TLSA {wrong}",
        "forged 300 IN A 127.0.0.1",
        "forged-tlsa 300 IN A 127.0.0.1",
        f"_{port}._tcp.forged-tlsa 300 IN TLSA {wrong}",
    ]
    return RECORDS.format(hosts="\n".join(lines))


@pytest.fixture(scope="module")
def signed_dns(
    tmp_path_factory: pytest.TempPathFactory, require: Callable[..., None], house: House
) -> Iterator[tuple[str, int]]:
    """The address of an unbound that validates the signed zone, and the port in its TLSA records."""
    import socket
    import subprocess

    require("unbound")
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    dns_port, mail_port = ports
    folder = tmp_path_factory.mktemp("dnssec")
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    zone = dns.zone.from_text(zone_text(house, mail_port), origin=f"{ZONE}.", relativize=False)
    dns.dnssec.sign_zone(
        zone,
        keys=[(key, dnskey)],
        inception=int(time.time()) - 3600,
        expiration=int(time.time()) + 86_400,
        add_dnskey=True,
        dnskey_ttl=300,
    )
    # Signatures that do not fit any more: what somebody on the way makes of an answer.
    for name, kind, data in (
        ("forged", "A", "127.0.0.2"),
        (f"_{mail_port}._tcp.forged-tlsa", "TLSA", house.record(3, 1, 1, house.der)),
    ):
        zone.replace_rdataset(f"{name}.{ZONE}.", dns.rdataset.from_text("IN", kind, 300, data))
    zone.to_file(str(folder / "zone"), relativize=False)
    (folder / "anchor").write_text(f"{ZONE}. IN DNSKEY {dnskey}\n")
    (folder / "plain").write_text(
        f"""$ORIGIN plain.example.
@ 300 IN SOA ns hostmaster 1 3600 600 86400 300
@ 300 IN NS ns
@ 300 IN MX 10 host
ns 300 IN A 127.0.0.1
host 300 IN A 127.0.0.1
_{mail_port}._tcp.host 300 IN TLSA {house.record(3, 1, 1, house.der)}
inward 300 IN CNAME good.{ZONE}.
"""
    )
    (folder / "conf").write_text(
        f"""server:
  interface: 127.0.0.1@{dns_port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor-file: "{folder}/anchor"
auth-zone:
  name: "{ZONE}."
  zonefile: "{folder}/zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
auth-zone:
  name: "plain.example."
  zonefile: "{folder}/plain"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
remote-control:
  control-enable: no
"""
    )
    import shutil

    program = shutil.which("unbound", path="/usr/sbin:/usr/bin") or "unbound"
    process = subprocess.Popen([program, "-d", "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 15
        while True:
            assert process.poll() is None
            try:
                with socket.create_connection(("127.0.0.1", dns_port), timeout=1):
                    break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
        yield f"127.0.0.1:{dns_port}", mail_port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def validating(signed_dns: tuple[str, int]) -> Resolver:
    return Resolver((signed_dns[0],), timeout_s=5.0)


def test_the_resolver_says_what_dnssec_vouches_for(validating: Resolver, signed_dns: tuple[str, int]) -> None:
    async def run() -> None:
        (record,) = await validating.mx(f"d-good.{ZONE}")
        assert (record.host, record.authentic) == (f"good.{ZONE}", True)
        assert 0 < record.ttl_s <= 300
        (plain,) = await validating.mx("plain.example")
        assert not plain.authentic
        assert await validating.vouched_names(f"good.{ZONE}") == (f"good.{ZONE}",)
        assert await validating.vouched_names("host.plain.example") == ()
        assert await validating.vouched_names(f"alias.{ZONE}") == (f"good.{ZONE}", f"alias.{ZONE}")
        assert await validating.vouched_names(f"outward.{ZONE}") == (f"outward.{ZONE}",)
        assert await validating.vouched_names("inward.plain.example") == ()
        with pytest.raises(DnsFault):
            await validating.vouched_names(f"forged.{ZONE}")
        with pytest.raises(DnsFault):
            await validating.tlsa(f"forged-tlsa.{ZONE}", signed_dns[1])
        assert len(await validating.tlsa(f"second.{ZONE}", signed_dns[1])) == 2
        assert await validating.tlsa("host.plain.example", signed_dns[1]) == ()
        assert await validating.tlsa(f"none.{ZONE}", signed_dns[1]) == ()

    asyncio.run(run())


def test_an_address_has_no_records_and_nobody_is_asked(unused_port: int) -> None:
    nobody = Resolver((f"127.0.0.1:{unused_port}",), timeout_s=0.2)
    assert asyncio.run(nobody.vouched_names("2001:db8::1")) == ()


def deliver(make_relay: Any, send: Any, server: Any, resolver: Resolver, domain: str, **settings: Any) -> Any:
    async def run() -> Any:
        async with server.listening():
            relay = make_relay(resolver, dane=True, mx_port=server.port, **settings)
            (hop,) = await relay.route(Recipient(Address.parse(f"b@{domain}")), INFO)
            try:
                return (await send(relay, 0, hop=hop))[0]
            finally:
                await relay.stop()

    return asyncio.run(run())


@pytest.fixture
def mail_host(peer: Any, house: House, signed_dns: tuple[str, int]) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    house.leaf.configure_cert(context)
    return peer(extensions=OFFERED, tls=context, port=signed_dns[1])


@pytest.mark.parametrize(
    ("host", "status", "said"),
    [
        pytest.param("good", "delivered", "TLS DANE", id="3 1 1 public key"),
        pytest.param("whole", "delivered", "TLS DANE", id="3 0 0 whole certificate"),
        pytest.param("long", "delivered", "TLS DANE", id="3 0 2 SHA-512"),
        pytest.param("second", "delivered", "TLS DANE", id="one of several matches"),
        pytest.param("wrong", "unreachable", "matches no TLSA record", id="none matches"),
        pytest.param("pkix", "delivered", "TLS DANE", id="RFC 7672 unusable records demand TLS only"),
        pytest.param("none", "delivered", "(actual, TLS)", id="no records"),
        pytest.param("alias", "delivered", "TLS DANE", id="records of the name behind an alias"),
        pytest.param(
            "own", "unreachable", "matches no TLSA record", id="records of the alias, where that name has none"
        ),
        pytest.param("outward", "unreachable", "matches no TLSA record", id="an alias that leads out of DNSSEC"),
        pytest.param("forged", "unreachable", "could not be looked up", id="forged address"),
        pytest.param("forged-tlsa", "unreachable", "could not be looked up", id="forged record"),
    ],
)
def test_rfc_7672_the_certificate_must_be_vouched_for(
    make_relay: Any, send: Any, mail_host: Any, validating: Resolver, host: str, status: str, said: str
) -> None:
    result = deliver(make_relay, send, mail_host, validating, f"d-{host}.{ZONE}")
    assert (result.status, said in result.detail) == (status, True), result.detail
    assert any(command.startswith("MAIL") for command in mail_host.commands) is (status == "delivered")


def test_rfc_7672_a_trust_anchor_vouches_for_a_chain_with_the_hosts_name(
    make_relay: Any, send: Any, peer: Any, authority: trustme.CA, validating: Resolver, signed_dns: tuple[str, int]
) -> None:
    for name, status in ((f"anchor.{ZONE}", "delivered"), ("elsewhere.example", "unreachable")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = authority.issue_cert(name)
        leaf.configure_cert(context)
        chain = b"".join(pem.bytes() for pem in (*leaf.cert_chain_pems, authority.cert_pem))
        with leaf.private_key_pem.tempfile() as key, trustme.Blob(chain).tempfile() as certificates:
            context.load_cert_chain(certificates, key)
        server = peer(extensions=OFFERED, tls=context, port=signed_dns[1])
        result = deliver(make_relay, send, server, validating, f"d-anchor.{ZONE}")
        assert result.status == status, result.detail


def test_rfc_7672_a_host_with_records_is_never_spoken_to_in_the_clear(
    make_relay: Any, send: Any, peer: Any, validating: Resolver, signed_dns: tuple[str, int]
) -> None:
    server = peer(extensions=("SIZE",), port=signed_dns[1])
    result = deliver(make_relay, send, server, validating, f"d-good.{ZONE}")
    assert result.status == "unreachable"
    assert "offers no STARTTLS, and a TLSA record demands it" in result.detail


def test_records_that_dnssec_does_not_vouch_for_do_not_count(
    make_relay: Any, send: Any, peer: Any, certificate: ssl.SSLContext, validating: Resolver, signed_dns: Any
) -> None:
    server = peer(extensions=OFFERED, tls=certificate, port=signed_dns[1])
    result = deliver(make_relay, send, server, validating, "plain.example")
    assert (result.status, "(actual, TLS)" in result.detail) == ("delivered", True)


def test_a_host_whose_records_cannot_be_looked_up_is_not_used(
    make_relay: Any, send: Any, mail_host: Any, validating: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tlsa(self: Resolver, host: str, port: int) -> tuple[TlsaRecord, ...]:
        raise DnsFault("no answer")

    monkeypatch.setattr(Resolver, "tlsa", tlsa)
    result = deliver(make_relay, send, mail_host, validating, f"d-good.{ZONE}")
    assert result.status == "unreachable"
    assert "whether good.signed.example has TLSA records could not be looked up" in result.detail


def test_the_public_key_is_cut_out_as_the_cryptography_library_reads_it(house: House) -> None:
    for der in (house.der, house.authority_der):
        key = load_der_x509_certificate(der).public_key()
        assert public_key(der) == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@given(st.binary(max_size=200) | st.integers(0, 600))
def test_bytes_that_are_no_certificate_are_told(data: bytes | int) -> None:
    der = data if isinstance(data, bytes) else b""
    if isinstance(data, int):
        der = bytes([0x30, 0x82]) + data.to_bytes(2, "big") + b"\x30\x80"
    record = TlsaRecord(3, 1, 1, b"")
    try:
        public_key(der)
    except CertificateError:
        assert not matches(record, der)


@pytest.mark.parametrize(("usage", "selector", "matching"), [(0, 1, 1), (1, 0, 1), (3, 2, 1), (3, 1, 3), (4, 1, 1)])
def test_records_that_smtp_has_no_use_for(usage: int, selector: int, matching: int) -> None:
    assert not usable(TlsaRecord(usage, selector, matching, b""))
    assert Pins("a.example", ()).match(None)
