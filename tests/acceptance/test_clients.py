"""The clients that administrators use: swaks, smtp-source, Python's smtplib, and the program's own ``send``."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN, VIRUS
from harness.servers import Sink, program
from harness.wait import until

Start = Callable[..., Gateway]
REJECTING = {"antivirus": {"on_infected": ["reject"]}}


def swaks(gateway: Gateway, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Send a file with swaks."""
    envelope = ("--from", "author@sender.example", "--to", "reader@house.example", "--helo", "client.example")
    server = ("--server", "127.0.0.1", "--port", str(gateway.port))
    command = [program("swaks"), *server, *envelope, "--data", f"@{file}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_swaks_sends_a_message(gateway: Start, hop: Hop, require: Callable[..., None], tmp_path: Path) -> None:
    require("swaks")
    up = gateway(hop)
    file = tmp_path / "mail.eml"
    file.write_bytes(CLEAN.replace(b"\r\n", b"\n"))
    sent = swaks(up, file)
    assert sent.returncode == 0, sent.stdout
    assert "250-PIPELINING" in sent.stdout
    # swaks ends the content with an empty line of its own
    assert hop.wait_for("reader@house.example").body in (CLEAN, CLEAN + b"\r\n")
    piped = swaks(up, file, "--pipeline")
    assert piped.returncode == 0, piped.stdout
    assert hop.wait_for("reader@house.example", 2).body in (CLEAN, CLEAN + b"\r\n")


def test_swaks_is_told_that_a_virus_is_refused(
    gateway: Start, hop: Hop, require: Callable[..., None], tmp_path: Path
) -> None:
    require("swaks")
    file = tmp_path / "mail.eml"
    file.write_bytes(VIRUS.replace(b"\r\n", b"\n"))
    sent = swaks(gateway(hop, **REJECTING), file)
    assert sent.returncode == 26, sent.stdout  # the exit status of swaks for a refusal after the content
    assert "<** 550 5.7.1" in sent.stdout
    assert not hop.arrived


def test_smtp_source_sends_many_messages_over_many_sessions(
    gateway: Start, sink: Callable[..., Sink], require: Callable[..., None]
) -> None:
    require("smtp-source")
    hop = sink()
    up = gateway(hop)
    options = ("-s", "10", "-m", "100", "-l", "5000", "-N", "-t", "reader@house.example", "-f", "author@sender.example")
    subprocess.run([program("smtp-source"), *options, f"127.0.0.1:{up.port}"], check=True, timeout=60)
    up.logged("delivered", 100)
    found = hop.wait_for(100)
    assert len({dump.recipients for dump in found}) == len(found) == 100
    assert {dump.sender for dump in found} == {"author@sender.example"}
    assert len({len(dump.content) for dump in found}) < 10
    until(lambda: not up.stored(), "the queue to be empty", story=up.story)


def test_smtplib_sends_several_messages_over_one_connection(gateway: Start, hop: Hop) -> None:
    up = gateway(hop)
    with smtplib.SMTP("127.0.0.1", up.port, "client.example", timeout=30) as client:
        for number in range(3):
            refused = client.sendmail("author@sender.example", [f"{number}@house.example", "all@house.example"], CLEAN)
            assert refused == {}
    for number in range(3):
        assert hop.wait_for(f"{number}@house.example").body == CLEAN
    assert len(hop.to("all@house.example")) == 3


def test_smtplib_is_told_that_a_virus_is_refused(gateway: Start, hop: Hop) -> None:
    up = gateway(hop, **REJECTING)
    with smtplib.SMTP("127.0.0.1", up.port, "client.example", timeout=30) as client:
        with pytest.raises(smtplib.SMTPDataError, match=r"550.*policy"):
            client.sendmail("author@sender.example", ["reader@house.example"], VIRUS)
        client.sendmail("author@sender.example", ["reader@house.example"], CLEAN)
    assert hop.wait_for("reader@house.example").body == CLEAN


def test_the_program_sends_a_test_message_itself(gateway: Start, hop: Hop, tmp_path: Path) -> None:
    up = gateway(hop, **REJECTING)
    file = tmp_path / "mail.eml"
    file.write_bytes(CLEAN)
    words = ("send", "--server", f"127.0.0.1:{up.port}", "--from", "author@sender.example")
    sent = up.run(*words, "--to", "reader@house.example", "--to", "other@house.example", str(file))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert "accepted as" in sent.stdout
    assert hop.wait_for("other@house.example").body == CLEAN
    refused = up.run(*words, "--to", "virus@house.example", "--eicar")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "550 5.7.1" in refused.stdout
    assert not hop.to("virus@house.example")


def test_a_client_that_shuts_its_side_behind_quit_gets_every_answer(gateway: Start, hop: Hop) -> None:
    """Exim does so: end of data, QUIT and the end of its side leave together."""
    up = gateway(hop)
    with up.client() as client:
        client.envelope("shut@house.example")
        assert client.say("DATA").code == 354
        client.write(CLEAN + b".\r\nQUIT\r\n")
        client.shut()
        assert client.read().code == 250
        assert client.read().code == 221
    assert hop.wait_for("shut@house.example").body == CLEAN
    with up.client() as client:
        client.say("EHLO client.example")
        client.write(b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<chunk@house.example>\r\n")
        client.write(b"BDAT %d LAST\r\n" % len(CLEAN) + CLEAN + b"QUIT\r\n")
        client.shut()
        assert [client.read().code for _ in range(4)] == [250, 250, 250, 221]
    assert hop.wait_for("chunk@house.example").body == CLEAN
