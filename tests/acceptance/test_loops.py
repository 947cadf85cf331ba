"""A domain whose mail host is the gateway itself under another name: one notification, and no mail going round."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from harness.gateway import Gateway
from harness.mails import CLEAN

US = f"127.77.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
PORT = 2525
"""A loopback address that nobody else has: the port of mail hosts must be known before the gateway has it."""

RECORDS = {
    ("mirror.example", "MX"): ("10 elsewhere.mirror.example.",),
    ("elsewhere.mirror.example", "A"): (US,),
}


@pytest.fixture
def name_server() -> Iterator[str]:
    """A name server that knows `RECORDS` and nothing else."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while (got := sock.recvfrom(4096))[0] != b"end":
            query = dns.message.from_wire(got[0])
            answer = dns.message.make_response(query, recursion_available=True)
            (asked,) = query.question
            found = RECORDS.get((str(asked.name).rstrip("."), asked.rdtype.name))
            if found is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            else:
                answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype.name, *found))
            sock.sendto(answer.to_wire(), got[1])

    thread = threading.Thread(target=serve)
    thread.start()
    port = sock.getsockname()[1]
    yield f"127.0.0.1:{port}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
        ending.sendto(b"end", ("127.0.0.1", port))
    thread.join()
    sock.close()


def test_rfc_5321_section_5_1_mail_that_leads_back_to_us_is_returned_at_once(
    gateway: Callable[..., Gateway], name_server: str
) -> None:
    running = gateway(
        "mx",
        gateway={"listen": ["127.0.0.1:0", f"{US}:{PORT}"]},
        dns={"servers": [name_server]},
        relay={"mx_port": PORT},
    )
    assert running.send(CLEAN, "bob@mirror.example").code == 250
    returned = running.logged("bounced", to="author@sender.example")
    assert returned["reason"] == "554 5.4.6 Mail for the recipient's domain loops back to this system"
    running.logged("bounced", to="<>")  # the notification, which has nowhere to go: all is settled
    assert [line["from"] for line in running.log("judged")] == ["author@sender.example"]
