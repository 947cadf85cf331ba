"""Which recipients exist: by list, file, directory and next hop."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import Address, Masks, Recipient, Secret, Session
from mailward_relay import callforward
from mailward_relay.recipient_settings import InDoubt, LdapSettings, RecipientSettings
from mailward_relay.route_settings import RouteSettings

STRANGER = Session(client_ip="203.0.113.9")
BASE = "dc=house,dc=example"


async def ask(relay: Any, address: str) -> str:
    """The refusal of an address as code and enhanced code; empty where it is accepted."""
    answer = await relay.rcpt_to(STRANGER, Recipient(Address.parse(address)))
    return "" if answer is None else f"{answer.code} {answer.enhanced}"


def answers(relay: Any, *addresses: str) -> list[str]:
    async def run() -> list[str]:
        try:
            return [await ask(relay, address) for address in addresses]
        finally:
            await relay.stop()

    return asyncio.run(run())


@pytest.fixture
def house(make_relay: Any) -> Callable[..., Any]:
    def make(port: int = 25, **settings: Any) -> Any:
        return make_relay(local={"house.example": f"127.0.0.1:{port}"}, recipients=RecipientSettings(**settings))

    return make


def test_without_a_source_every_recipient_exists(house: Any) -> None:
    assert answers(house(), "anybody@house.example") == [""]


def test_listed_recipients_exist_and_no_others(house: Any) -> None:
    relay = house(listed=Masks(["bob@house.example", "sales-*@house.example"]))
    asked = ["BOB@house.example", "sales-eu@house.example", "eve@house.example", "postmaster@house.example"]
    assert answers(relay, *asked) == ["", "", "550 5.1.1", ""]


def test_the_check_is_for_the_house_only_and_after_relaying(house: Any) -> None:
    assert answers(house(listed=Masks(["bob@house.example"])), "x@other.example") == ["550 5.7.1"]


def test_a_file_of_recipients_is_read_again_on_reload(house: Any, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("# the house\nbob@house.example\n\n*-list@house.example # lists\n")
    relay = house(file="users")
    assert answers(relay, "bob@house.example", "a-list@house.example", "eve@house.example") == ["", "", "550 5.1.1"]
    (tmp_path / "users").write_text("eve@house.example\n")
    relay.reload()
    assert answers(relay, "bob@house.example", "eve@house.example") == ["550 5.1.1", ""]
    (tmp_path / "users").unlink()
    with pytest.raises(ValueError, match=r"recipients.file: .*users cannot be read: No such file"):
        relay.reload()
    assert answers(relay, "eve@house.example") == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"bob\n", "line 1: 'bob' is no mask of addresses"), (b"\xff@x\n", "cannot be read: is not UTF-8")],
)
def test_a_wrong_file_is_an_error_at_load(house: Any, tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "users").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        house(file="users")


def forwarding(peer: Any, house: Any, *addresses: str, **settings: Any) -> list[str]:
    async def run() -> list[str]:
        async with peer.listening():
            relay = house(peer.port, call_forward=True, **settings)
            try:
                return [await ask(relay, address) for address in addresses]
            finally:
                await relay.stop()

    return asyncio.run(run())


def only_bob(line: str) -> str:
    return "250 2.1.5 ok" if "bob@" in line else "550 5.1.1 who"


def test_the_next_hop_says_who_exists_and_is_asked_once(peer: Any, house: Any) -> None:
    server = peer(script={"RCPT": only_bob})
    asked = ["bob@house.example", "eve@house.example", "bob@house.example", "eve@house.example"]
    assert forwarding(server, house, *asked) == ["", "550 5.1.1", "", "550 5.1.1"]
    assert [c for c in server.commands if c.startswith("RCPT")] == [
        "RCPT TO:<bob@house.example>",
        "RCPT TO:<eve@house.example>",
    ]
    assert server.commands.count("MAIL FROM:<> SIZE=0") == 2
    assert server.commands.count("RSET") == 1
    assert "DATA" not in server.commands
    assert server.connections == 1


def test_what_the_next_hop_says_of_one_spelling_is_not_taken_for_another(peer: Any, house: Any) -> None:
    """A stranger who asks for BOB where case counts does not have bob refused for the time of the cache."""
    server = peer(script={"RCPT": only_bob})
    asked = ["BOB@house.example", '"bob"@house.example', "bob@house.example"]
    assert forwarding(server, house, *asked) == ["550 5.1.1", "550 5.1.1", ""]


@pytest.mark.parametrize(
    ("in_doubt", "expected"), [(InDoubt.DEFER, "451 4.1.1"), (InDoubt.ACCEPT, "")], ids=["defer", "accept"]
)
@pytest.mark.parametrize("script", [{"RCPT": "450 4.2.0 greylisted"}, {"MAIL": "550 no"}, {"RCPT": "close"}])
def test_where_the_next_hop_does_not_say_the_setting_decides(
    peer: Any, house: Any, script: Any, in_doubt: InDoubt, expected: str
) -> None:
    assert forwarding(peer(script=script), house, "bob@house.example", in_doubt=in_doubt) == [expected]


def test_a_next_hop_that_is_down_is_a_doubt(house: Any, unused_port: int) -> None:
    assert answers(house(unused_port, call_forward=True), "bob@house.example") == ["451 4.1.1"]


@pytest.mark.parametrize("where", ["GREETING", "EHLO", "MAIL", "RCPT"])
@pytest.mark.parametrize(
    ("in_doubt", "expected"), [(InDoubt.DEFER, "451 4.1.1"), (InDoubt.ACCEPT, "")], ids=["defer", "accept"]
)
def test_a_next_hop_that_hangs_is_a_doubt_and_keeps_only_the_first_waiting(
    peer: Any, house: Any, monkeypatch: pytest.MonkeyPatch, where: str, in_doubt: InDoubt, expected: str
) -> None:
    monkeypatch.setattr(callforward, "ANSWER_S", 0.3)
    server = peer(script={where: "stall"})
    asked = ["bob@house.example", "eve@house.example", "ann@house.example"]
    assert forwarding(server, house, *asked, in_doubt=in_doubt) == [expected] * 3
    assert server.connections == 1


def test_behind_a_next_hop_that_hangs_the_backup_is_asked(
    peer: Any, make_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callforward, "ANSWER_S", 0.3)

    async def run() -> list[str]:
        first, backup = peer(script={"RCPT": "stall"}), peer(script={"RCPT": only_bob})
        async with first.listening(), backup.listening():
            route = RouteSettings(hosts={f"127.0.0.1:{first.port}": 1}, backup=(f"127.0.0.1:{backup.port}",))
            relay = make_relay(
                local={"house.example": "route:house"},
                route={"house": route},
                recipients=RecipientSettings(call_forward=True),
            )
            try:
                return [await ask(relay, f"{name}@house.example") for name in ("bob", "eve")]
            finally:
                await relay.stop()

    assert asyncio.run(run()) == ["", "550 5.1.1"]


def test_a_link_that_was_asked_carries_mail_afterwards(peer: Any, house: Any, send: Any) -> None:
    async def run() -> None:
        server = peer()
        async with server.listening():
            relay = house(server.port, call_forward=True)
            assert await ask(relay, "bob@house.example") == ""
            (result,) = await send(relay, server.port)
            assert result.status == "delivered"
            await relay.stop()
        assert server.connections == 1
        assert "RSET" in server.commands

    asyncio.run(run())


@frozen
class Slapd:
    """A running slapd with a few people."""

    url: str
    socket: str
    process: subprocess.Popen[bytes]


PEOPLE = f"""\
dn: {BASE}
objectClass: top
objectClass: dcObject
objectClass: organization
o: house
dc: house

dn: cn=gate,{BASE}
objectClass: top
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gate
userPassword: sesame

dn: cn=bob,{BASE}
objectClass: top
objectClass: inetOrgPerson
cn: bob
sn: bob
mail: bob@house.example
mail: r.builder@house.example

dn: cn=odd,{BASE}
objectClass: top
objectClass: inetOrgPerson
cn: odd
sn: odd
mail: a(b)*c@house.example
"""


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, require: Callable[..., None]) -> Iterator[Slapd]:
    require("slapd", "slapadd")
    folder = tmp_path_factory.mktemp("slapd")
    (folder / "db").mkdir()
    modules = next(iter(Path("/usr/lib/ldap").glob("back_mdb*")), None)
    load = "modulepath /usr/lib/ldap\nmoduleload back_mdb\n" if modules else ""
    schemas = "\n".join(f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson"))
    (folder / "conf").write_text(
        f"{schemas}\npidfile {folder}/pid\n{load}access to * by users read by anonymous auth\n"
        f'database mdb\nsuffix "{BASE}"\ndirectory {folder}/db\nmaxsize 10485760\n'
    )
    (folder / "people").write_text(PEOPLE)
    path = "/usr/sbin:/usr/bin"
    adder, server = shutil.which("slapadd", path=path) or "slapadd", shutil.which("slapd", path=path) or "slapd"
    subprocess.run([adder, "-f", folder / "conf", "-l", folder / "people"], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    local = f"{folder}/ldapi"
    urls = f"ldap://127.0.0.1:{port} ldapi://{local.replace('/', '%2F')}"
    process = subprocess.Popen([server, "-d", "0", "-f", folder / "conf", "-h", urls], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            assert process.poll() is None
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < end
            time.sleep(0.05)
        yield Slapd(f"ldap://127.0.0.1:{port}", local, process)
    finally:
        process.terminate()
        process.wait(10)


def directory(slapd: Slapd, **more: Any) -> LdapSettings:
    given = {
        "servers": (slapd.url,),
        "base": BASE,
        "bind_dn": f"cn=gate,{BASE}",
        "password": Secret("sesame"),
        "filter": "(mail={address})",
        "timeout_s": 5.0,
        **more,
    }
    return LdapSettings(**given)


@pytest.mark.parametrize("by", ["port", "socket"])
def test_a_directory_says_who_exists(house: Any, slapd: Slapd, by: str) -> None:
    url = slapd.url if by == "port" else f"ldapi:///{slapd.socket.replace('/', '%2F')}"
    relay = house(ldap=directory(slapd, servers=(url,)))
    asked = ["bob@house.example", "R.Builder@house.example", "eve@house.example"]
    assert answers(relay, *asked) == ["", "", "550 5.1.1"]


def test_the_default_filter_works_at_a_directory_that_lacks_the_attribute(house: Any, slapd: Slapd) -> None:
    default = LdapSettings().filter
    assert answers(house(ldap=directory(slapd, filter=default)), "bob@house.example", "eve@house.example") == [
        "",
        "550 5.1.1",
    ]


def test_an_address_cannot_widen_the_filter(house: Any, slapd: Slapd) -> None:
    relay = house(ldap=directory(slapd))
    assert answers(relay, "*@house.example", "bo*@house.example") == ["550 5.1.1"] * 2
    relay = house(ldap=directory(slapd, filter="(&(objectClass=inetOrgPerson)(mail={local}@{domain}))"))

    async def run() -> list[Any]:
        found = [await relay.rcpt_to(STRANGER, Recipient(Address(x, "house.example"))) for x in ("x)(|(cn=*", "a(b)*c")]
        await relay.stop()
        return found

    hostile, odd = asyncio.run(run())
    assert hostile is not None
    assert hostile.code == 550
    assert odd is None


@pytest.mark.parametrize(
    "more",
    [
        {"password": Secret("wrong")},
        {"servers": ("ldap://127.0.0.1:1",)},
        {"base": "dc=elsewhere"},
        {"starttls": True},
    ],
    ids=["wrong password", "nobody there", "no such base", "no TLS"],
)
def test_a_directory_that_does_not_say_is_a_doubt(house: Any, slapd: Slapd, more: Any) -> None:
    assert answers(house(ldap=directory(slapd, **more)), "bob@house.example") == ["451 4.1.1"]


def test_the_next_server_is_asked_where_the_first_is_down(house: Any, slapd: Slapd) -> None:
    relay = house(ldap=directory(slapd, servers=("ldap://127.0.0.1:1", slapd.url)))
    assert answers(relay, "bob@house.example", "eve@house.example") == ["", "550 5.1.1"]


def test_a_connection_that_was_cut_is_made_again(house: Any, slapd: Slapd) -> None:
    async def run() -> None:
        relay = house(ldap=directory(slapd), known_cache_s=0.0, unknown_cache_s=0.0)
        assert await ask(relay, "bob@house.example") == ""
        kept = relay._recipients._directory._kept
        kept[0].socket.shutdown(socket.SHUT_RDWR)
        assert await ask(relay, "bob@house.example") == ""
        assert await ask(relay, "eve@house.example") == "550 5.1.1"
        await relay.stop()

    asyncio.run(run())


@contextlib.contextmanager
def mute(count: int) -> Iterator[list[socket.socket]]:
    """Servers that accept connections and never say anything."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]


def urls(servers: list[socket.socket]) -> tuple[str, ...]:
    return tuple(f"ldap://127.0.0.1:{server.getsockname()[1]}" for server in servers)


@pytest.mark.parametrize("call_forward", [False, True], ids=["alone", "before the next hop"])
def test_servers_that_hang_share_the_time_of_the_hook(
    make_relay: Any, slapd: Slapd, peer: Any, call_forward: bool
) -> None:
    async def run() -> list[str]:
        async with peer(script={"RCPT": "stall"}).listening() as server:
            relay = make_relay(
                timeout_s=2.0,
                local={"house.example": f"127.0.0.1:{server.port}"},
                recipients=RecipientSettings(
                    ldap=directory(slapd, servers=urls(servers), timeout_s=10.0), call_forward=call_forward
                ),
            )
            # each of the servers alone would take ten seconds: the time of the setting
            async with asyncio.timeout(9.5):
                found = [await ask(relay, f"{name}@house.example") for name in ("bob", "eve")]
            await relay.stop()
            return found

    with mute(3) as servers:
        assert asyncio.run(run()) == ["451 4.1.1"] * 2


def test_behind_a_server_that_hangs_the_next_is_asked_and_the_first_left_in_peace(
    make_relay: Any, slapd: Slapd
) -> None:
    with mute(1) as servers:
        relay = make_relay(
            timeout_s=8.0,
            local={"house.example": "mx"},
            recipients=RecipientSettings(ldap=directory(slapd, servers=(*urls(servers), slapd.url), timeout_s=30.0)),
        )
        assert answers(relay, "bob@house.example", "eve@house.example") == ["", "550 5.1.1"]
        servers[0].settimeout(0)
        servers[0].accept()[0].close()
        with pytest.raises(BlockingIOError):
            servers[0].accept()


def test_a_list_goes_before_the_directory(house: Any) -> None:
    relay = house(listed=Masks(["bob@house.example"]), ldap=LdapSettings(servers=("ldap://127.0.0.1:1",)))
    assert answers(relay, "bob@house.example", "eve@house.example") == ["", "451 4.1.1"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filter": "(mail=bob)"}, "asks for no address"),
        ({"filter": "(mail={address}"}, "is no LDAP filter"),
        ({"timeout_s": 0.0}, "out of range"),
    ],
)
def test_settings_of_a_directory_are_checked(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LdapSettings(**settings)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"bind_dn": ""}, "recipients.ldap: bind_dn and password go together"),
        ({"ca_file": "none.pem"}, "recipients.ldap: ca_file = 'none.pem': .* is no file"),
        ({"filter": "(mail={address}{0})"}, "recipients.ldap: servers or filter cannot be used"),
    ],
)
def test_a_directory_that_cannot_work_is_an_error_at_load(house: Any, slapd: Slapd, more: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        house(ldap=directory(slapd, **more))


@pytest.mark.parametrize(("password", "ok"), [("sesame", True), ("wrong", False)])
def test_mailward_check_asks_the_directory(house: Any, slapd: Slapd, password: str, ok: bool) -> None:
    relay = house(25, ldap=directory(slapd, password=Secret(password)))

    async def run() -> list[Any]:
        found = await relay._recipients.check()
        await relay.stop()
        return list(found)

    (check,) = asyncio.run(run())
    assert (check.name, check.ok) == (f"directory {slapd.url}", ok)
    assert ("refused the login" in check.detail) is not ok
    assert "wrong" not in check.detail
