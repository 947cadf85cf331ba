"""Routes with names: who is spoken to, in which order, and how."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from mailward import Address, Envelope, MessageInfo, NextHop, Recipient, Secret
from mailward_relay.route_settings import RouteSettings

OFFERED = ("PIPELINING", "SIZE", "STARTTLS")
TO = Recipient(Address.parse("b@house.example"))


def info(name: str = "m1") -> MessageInfo:
    return MessageInfo(name, Envelope(), 3)


def route(relay: Any, message: str = "m1") -> list[NextHop]:
    return list(asyncio.run(relay.route(TO, info(message))))


def test_hosts_of_a_route_are_tried_one_after_the_other_and_backups_last(make_relay: Any) -> None:
    routes = {"house": RouteSettings(hosts={"10.0.0.1": 1, "10.0.0.2:26": 1}, backup=("[2001:db8::1]:27", "b.example"))}
    relay = make_relay(local={"house.example": "route:house"}, route=routes)
    hops = route(relay)
    assert sorted((hop.host, hop.port) for hop in hops[:2]) == [("10.0.0.1", 25), ("10.0.0.2", 26)]
    assert [(hop.host, hop.port) for hop in hops[2:]] == [("2001:db8::1", 27), ("b.example", 25)]
    assert {hop.route for hop in hops} == {"house"}


def test_hosts_share_the_mail_by_weight_and_one_message_has_one_order(make_relay: Any) -> None:
    routes = {"house": RouteSettings(hosts={"10.0.0.1": 3, "10.0.0.2": 1})}
    relay = make_relay(local={"house.example": "route:house"}, route=routes)
    first = Counter(route(relay, f"m{number}")[0].host for number in range(400))
    assert 250 < first["10.0.0.1"] < 350
    assert len({tuple(route(relay, "one message")) for _ in range(10)}) == 1


def test_a_route_that_fails_over_delivers_by_the_next_host(
    make_relay: Any, send: Any, peer: Any, unused_port: int
) -> None:
    async def run() -> None:
        async with peer().listening() as server:
            routes = {
                "house": RouteSettings(hosts={f"127.0.0.1:{unused_port}": 1}, backup=(f"127.0.0.1:{server.port}",))
            }
            relay = make_relay(local={"house.example": "route:house"}, route=routes)
            hops = await relay.route(TO, info())
            results = [(await send(relay, 0, hop=hop))[0] for hop in hops]
            assert [result.status for result in results] == ["unreachable", "delivered"]
            await relay.stop()

    asyncio.run(run())


def test_a_route_without_hosts_is_another_manner_for_mx_delivery(make_relay: Any, resolver: Any) -> None:
    relay = make_relay(resolver, forward={"mx.example": "route:strict"}, route={"strict": RouteSettings(tls="encrypt")})
    hops = asyncio.run(relay.route(Recipient(Address.parse("b@mx.example")), info()))
    assert [(hop.host, hop.route) for hop in hops] == [
        ("first.mx.example", "strict+mx"),
        ("second.mx.example", "strict+mx"),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"default": "route:none"}, r"default = 'route:none': there is no route 'none'; write \[relay.route.none\]"),
        ({"local": {"x.example": "route:"}}, r"there is no route ''; write \[relay.route.NAME\]"),
        ({"route": {"a": RouteSettings(backup=("b.example",))}}, "route.a: has backup hosts and no hosts"),
        (
            {"route": {"a": RouteSettings(hosts={"2001:db8::1": 1})}},
            "route.a: '2001:db8::1' is an IPv6 address without",
        ),
        ({"route": {"a": RouteSettings(user="x")}}, "route.a: user and password go together"),
        ({"route": {"a": RouteSettings(client_key="k")}}, "route.a: client_key is set without client_cert"),
        ({"route": {"a": RouteSettings(client_cert="none.pem")}}, "route.a: client_cert = 'none.pem': .*none.pem"),
        ({"route": {"a": RouteSettings(tls="none", implicit_tls=True)}}, "implicit_tls contradicts tls"),
        ({"ca_file": "none.pem"}, "ca_file = 'none.pem': .* cannot be used: No such file"),
        ({"default": "", "local": {}}, "default is empty and so are local and forward"),
    ],
)
def test_what_contradicts_itself_is_an_error_at_load(make_relay: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_relay(**settings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hosts": {"a": 0}}, "'a' has the weight 0; allowed: 1 to 1000"),
        ({"source": ("x",)}, "'x' is no address"),
        ({"source": ("10.0.0.1", "10.0.0.2")}, "two addresses of one kind"),
        ({"max_per_host": 0}, "out of range; allowed: 1 to 1024"),
        ({"tls": "some"}, "'some' is unknown; allowed: none, may, encrypt, verify"),
    ],
)
def test_values_of_a_route_have_ranges(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteSettings(**values)


def through(make_relay: Any, send: Any, server: Any, **settings: Any) -> Any:
    """One delivery to a scripted peer by a route of these settings."""

    async def run() -> Any:
        async with server.listening():
            relay = make_relay(route={"r": RouteSettings(hosts={f"127.0.0.1:{server.port}": 1}, **settings)})
            try:
                return (await send(relay, 0, hop=NextHop("smtp", "127.0.0.1", server.port, route="r")))[0]
            finally:
                await relay.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("names", "status"),
    [(("127.0.0.1",), "delivered"), (("other.example",), "unreachable")],
    ids=["named", "other name"],
)
def test_verify_wants_a_certificate_for_the_host(
    make_relay: Any, send: Any, peer: Any, tls_for: Any, authority_file: str, names: Any, status: str
) -> None:
    server = peer(extensions=OFFERED, tls=tls_for(*names))
    result = through(make_relay, send, server, tls="verify", ca_file=authority_file)
    assert result.status == status
    assert ("(actual, TLS verified)" in result.detail) is (status == "delivered")
    assert any(command.startswith("MAIL") for command in server.commands) is (status == "delivered")


def test_verify_refuses_a_certificate_that_nobody_trusts(
    make_relay: Any, send: Any, peer: Any, certificate: ssl.SSLContext, authority_file: str
) -> None:
    server = peer(extensions=OFFERED, tls=certificate)
    assert through(make_relay, send, server, tls="verify", ca_file=authority_file).status == "unreachable"
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_verify_refuses_a_host_without_starttls(make_relay: Any, send: Any, peer: Any) -> None:
    result = through(make_relay, send, peer(extensions=("SIZE",)), tls="verify")
    assert result.status == "unreachable"
    assert "offers no STARTTLS, and tls is set to verify" in result.detail


def test_a_client_certificate_is_shown(
    make_relay: Any, send: Any, peer: Any, tls_for: Any, authority: Any, tmp_path: Path
) -> None:
    own = authority.issue_cert("gate.example")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    server = peer(extensions=OFFERED, tls=tls_for("127.0.0.1", clients=True))
    assert through(make_relay, send, server, client_cert="own.pem").status == "delivered"
    (shown,) = server.client_certificates
    assert shown == ssl.PEM_cert_to_DER_cert(own.cert_chain_pems[0].bytes().decode())


def test_the_source_address_is_that_of_the_route(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer()
    assert through(make_relay, send, server, source=("127.0.0.7", "::1")).status == "delivered"
    assert server.clients == ["127.0.0.7"]


def test_a_source_address_that_is_not_ours_is_told(make_relay: Any, send: Any, peer: Any) -> None:
    result = through(make_relay, send, peer(), source=("192.0.2.1",))
    assert result.status == "unreachable"
    assert "connecting from 192.0.2.1" in result.detail


LOGIN = {"user": "mail@house.example", "password": Secret("sesame")}


def test_cram_md5_is_preferred_and_does_not_need_tls(make_relay: Any, send: Any, peer: Any) -> None:
    challenge = b"<17.4@peer.example>"
    server = peer(
        extensions=("SIZE", "AUTH LOGIN PLAIN CRAM-MD5"),
        script={"AUTH": f"334 {base64.b64encode(challenge).decode()}"},
    )
    assert through(make_relay, send, server, **LOGIN).status == "delivered"
    answer = base64.b64decode(server.commands[2]).decode()
    assert server.commands[1] == "AUTH CRAM-MD5"
    assert answer == f"mail@house.example {hmac.new(b'sesame', challenge, hashlib.md5).hexdigest()}"


def test_a_password_is_not_sent_in_the_clear(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=("AUTH PLAIN LOGIN",))
    result = through(make_relay, send, server, **LOGIN)
    assert result.status == "unreachable"
    assert "the password is not sent in the clear" in result.detail
    assert not any(command.startswith("AUTH") for command in server.commands)
    server = peer(extensions=("AUTH PLAIN",), script={"AUTH": "235 2.7.0 in"})
    assert through(make_relay, send, server, password_in_clear=True, **LOGIN).status == "delivered"


def test_a_refused_login_is_told_without_the_password(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(extensions=("AUTH CRAM-MD5",), script={"AUTH": "334 PHg+", "RESPONSE": "535 5.7.8 no"})
    result = through(make_relay, send, server, **LOGIN)
    assert result.status == "unreachable"
    assert "logging in: " in result.detail
    assert str(result.reply).startswith("535 5.7.8")
    assert "sesame" not in repr(result)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("password", ["sesame", "wrong"])
def test_logging_in_at_a_server_of_others(
    make_relay: Any, send: Any, tls_for: Any, mechanism: str, password: str
) -> None:
    seen: list[Any] = []

    def authenticate(server: Any, session: Any, envelope: Any, kind: str, data: Any) -> AuthResult:
        seen.append((kind, data.login, data.password))
        return AuthResult(success=data.password == b"sesame", handled=False)

    class Keeper:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            return "250 2.0.0 kept" if session.authenticated else "530 no"

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(
                Keeper(),
                hostname="peer.example",
                loop=loop,
                tls_context=tls_for("127.0.0.1"),
                auth_required=True,
                authenticator=authenticate,
                auth_exclude_mechanism=[one for one in ("PLAIN", "LOGIN") if one != mechanism],
            ),
            "127.0.0.1",
            0,
        )
        port = server.sockets[0].getsockname()[1]
        own = RouteSettings(hosts={f"127.0.0.1:{port}": 1}, user="mail@house.example", password=Secret(password))
        relay = make_relay(route={"r": own})
        result = (await send(relay, 0, hop=NextHop("smtp", "127.0.0.1", port, route="r")))[0]
        await relay.stop()
        server.close()
        return result

    result = asyncio.run(run())
    assert result.status == ("delivered" if password == "sesame" else "unreachable")
    assert seen[0] == (mechanism, b"mail@house.example", password.encode())


def test_tls_from_the_first_byte(make_relay: Any, send: Any, peer: Any, tls_for: Any, authority_file: str) -> None:
    async def run() -> Any:
        server = peer(extensions=("SIZE",))
        listener = await asyncio.start_server(server._accept, "127.0.0.1", 0, ssl=tls_for("127.0.0.1"))
        port = listener.sockets[0].getsockname()[1]
        own = RouteSettings(hosts={f"127.0.0.1:{port}": 1}, implicit_tls=True, tls="verify", ca_file=authority_file)
        relay = make_relay(route={"r": own})
        result = (await send(relay, 0, hop=NextHop("smtp", "127.0.0.1", port, route="r")))[0]
        await relay.stop()
        listener.close()
        return result

    result = asyncio.run(run())
    assert result.status == "delivered"
    assert "TLS verified" in result.detail


def test_a_hop_of_a_route_that_is_not_there_waits(make_relay: Any, send: Any) -> None:
    (result,) = asyncio.run(send(make_relay(), 0, hop=NextHop("smtp", "127.0.0.1", 25, route="gone")))
    assert result.status == "unreachable"
    assert "there is no route 'gone'" in result.detail
