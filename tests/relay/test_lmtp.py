"""LMTP: one reply for each recipient (RFC 2033), at a scripted peer and at dovecot."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from mailward import NextHop

THREE = ("b@rcpt.example", "c@rcpt.example", "d@rcpt.example")


def deliver(peer: Any, send: Any, relay: Any, **keywords: Any) -> list[Any]:
    async def run() -> list[Any]:
        async with peer.listening():
            try:
                return list(await send(relay, 0, hop=NextHop("lmtp", "127.0.0.1", peer.port), **keywords))
            finally:
                await relay.stop()

    return asyncio.run(run())


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelined", "plain"])
def test_each_recipient_has_a_reply_of_his_own(make_relay: Any, send: Any, peer: Any, extensions: Any) -> None:
    server = peer(
        extensions=extensions,
        script={
            "RCPT": ["250 ok", "550 5.1.1 who", "250 ok"],
            "END": b"250 2.0.0 for b\r\n452 4.2.2 d is over quota\r\n",
        },
    )
    results = deliver(server, send, make_relay(), to=THREE)
    assert [result.status for result in results] == ["delivered", "failed", "deferred"]
    assert [str(result.reply) for result in results] == [
        "250 2.0.0 for b",
        "550 5.1.1 who",
        "452 4.2.2 d is over quota",
    ]
    assert server.commands[0] == "LHLO gate.example"
    assert len(server.messages) == 1


def test_a_delivered_message_lies_in_its_mailbox(make_relay: Any, send: Any, peer: Any) -> None:
    (result,) = deliver(peer(), send, make_relay())
    assert (result.status, result.final, result.relayed) == ("delivered", True, False)
    assert result.next_hop.startswith("lmtp:127.0.0.1:")


def test_a_peer_that_offers_dsn_answers_for_success_itself(make_relay: Any, send: Any, peer: Any) -> None:
    (result,) = deliver(peer(extensions=("DSN",)), send, make_relay())
    assert (result.status, result.final, result.relayed) == ("delivered", False, False)


def test_a_peer_that_stops_in_its_replies_leaves_the_others_deferred(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(script={"END": b"250 2.0.0 for b\r\n"})
    results = deliver(server, send, make_relay(data_termination_timeout_s=1.0), to=THREE)
    assert [result.status for result in results] == ["delivered", "deferred", "deferred"]
    assert all("it may have arrived" in result.detail for result in results[1:])


def test_a_server_that_knows_no_lhlo_is_unreachable(make_relay: Any, send: Any, peer: Any) -> None:
    server = peer(script={"LHLO": "500 5.5.1 what"})
    (result,) = deliver(server, send, make_relay())
    assert result.status == "unreachable"
    assert not any(command.startswith(("HELO", "EHLO")) for command in server.commands)


def test_a_second_message_goes_over_the_same_link(make_relay: Any, send: Any, peer: Any) -> None:
    async def run() -> None:
        server = peer(script={"END": b"250 2.0.0 one\r\n250 2.0.0 two\r\n"})
        async with server.listening():
            relay = make_relay()
            hop = NextHop("lmtp", "127.0.0.1", server.port)
            for how in ("actual", "cached"):
                results = await send(relay, 0, hop=hop, to=THREE[:2])
                assert [(result.status, how in result.detail) for result in results] == [("delivered", True)] * 2
            await relay.stop()
        assert server.connections == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("target", "hop"),
    [
        ("lmtp://10.0.0.5", NextHop("lmtp", "10.0.0.5", 24)),
        ("lmtp://mail.example:2424", NextHop("lmtp", "mail.example", 2424)),
        ("lmtp://[2001:db8::5]", NextHop("lmtp", "2001:db8::5", 24)),
        ("lmtp:/run/dovecot/lmtp", NextHop("lmtp", path="/run/dovecot/lmtp")),
    ],
)
def test_targets(target: str, hop: NextHop) -> None:
    from mailward_relay.targets import parse_target

    assert parse_target(target, Path) == hop


@frozen
class Dovecot:
    """A running dovecot-lmtpd with the mailboxes of bob and carol; carol's takes no more than 20 KB."""

    port: int
    socket: str
    folder: Path

    def messages(self, user: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.folder / "mail" / user).glob("new/*"))]


DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_plugins = quota
mail_location = maildir:{folder}/mail/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain
postmaster_address = postmaster@rcpt.example
hostname = dovecot.example
lmtp_rcpt_check_quota = no
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
plugin {{
  quota = maildir:User quota
}}
service anvil {{
  chroot =
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service stats {{
  chroot =
}}
"""


@pytest.fixture(scope="module")
def dovecot(require: Callable[..., None]) -> Iterator[Dovecot]:
    require("dovecot")
    if os.geteuid() != 0:
        pytest.skip("dovecot needs root")
    from socket import create_connection, create_server

    with create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    user = pwd.getpwnam("dovecot")
    with tempfile.TemporaryDirectory(prefix="mailward-dovecot-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        os.chown(folder / "mail", user.pw_uid, user.pw_gid)
        users = f"{{plain}}:{user.pw_uid}:{user.pw_gid}::{folder}/mail"
        (folder / "users").write_text(f"bob:{users}/bob::\ncarol:{users}/carol::userdb_quota_rule=*:storage=20K\n")
        (folder / "conf").write_text(
            DOVECOT.format(
                folder=folder,
                user=user.pw_name,
                group=grp.getgrgid(user.pw_gid).gr_name,
                uid=user.pw_uid,
                gid=user.pw_gid,
                port=port,
            ).replace("mail_location", "auth_username_format = %n\nmail_location")
        )
        program = shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "dovecot"
        process = subprocess.Popen([program, "-F", "-c", str(folder / "conf")], stderr=subprocess.PIPE)
        try:
            end = time.monotonic() + 20
            while True:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                with contextlib.suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            yield Dovecot(port, str(folder / "run" / "lmtp"), folder)
        finally:
            process.terminate()
            process.wait(10)
            if process.stderr:
                process.stderr.close()


BODY = b"Subject: hello\r\n\r\n.\r\n.dots\r\n" + b"x" * 70 + b"\r\n"


@pytest.mark.parametrize("by", ["port", "socket"])
def test_dovecot_answers_for_each_recipient(make_relay: Any, send: Any, dovecot: Dovecot, by: str) -> None:
    hop = NextHop("lmtp", "127.0.0.1", dovecot.port) if by == "port" else NextHop("lmtp", path=dovecot.socket)
    before = len(dovecot.messages("bob"))

    async def run() -> list[Any]:
        relay = make_relay()
        results = await send(relay, 0, BODY, hop=hop, to=["bob@rcpt.example", "nobody@rcpt.example"])
        results += await send(relay, 0, BODY * 600, hop=hop, to=["carol@rcpt.example", "bob@rcpt.example"])
        await relay.stop()
        return list(results)

    results = asyncio.run(run())
    assert [result.status for result in results] == ["delivered", "failed", "failed", "delivered"], results
    assert str(results[1].reply).startswith("550 5.1.1")
    assert results[2].reply.enhanced == "5.2.2"
    assert [result.final for result in results] == [True, False, False, True]
    kept = dovecot.messages("bob")
    assert len(kept) == before + 2
    assert any(BODY.replace(b"\r\n", b"\n") in message.replace(b"\r\n", b"\n") for message in kept)
