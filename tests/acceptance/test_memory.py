"""A large message passes through the gateway without ever being in its memory."""

from __future__ import annotations

from collections.abc import Callable

from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import CLEAN, head
from harness.servers import Sink

MIB = 1024 * 1024
LINE = b"0123456789" * 7 + b"\r\n"


def test_50_mb_add_less_than_40_mb_to_the_gateway(
    gateway: Callable[..., Gateway], sink: Callable[..., Sink], record_property: Callable[[str, object], None]
) -> None:
    hop = sink()
    up = gateway(hop, gateway={"max_message_bytes": "60 MB"})
    up.settled(up.send(CLEAN, "warm@house.example").id)
    (scanner,) = up.scanners()
    before, scanner_before = up.peak_bytes(), up.peak_bytes(scanner)
    block = LINE * 10_000
    with up.client() as client:
        client.envelope("large@house.example")
        assert client.say("DATA").code == 354
        client.write(head("large") + b"\r\n")
        for _ in range(50 * MIB // len(block)):
            client.write(block)
        client.write(b".\r\n")
        reply = client.read()
    line = up.settled(reply.id)
    assert "delivered" in line["results"][0]
    added, scanner_added = up.peak_bytes() - before, up.peak_bytes(scanner) - scanner_before
    record_property("gateway_added_bytes", added)
    record_property("scan_process_added_bytes", scanner_added)
    print(f"50 MB added {added / MIB:.1f} MB to the gateway, {scanner_added / MIB:.1f} MB to the scan process")
    assert added < 40 * MIB


def test_an_endless_message_fills_neither_memory_nor_disk(gateway: Callable[..., Gateway], hop: Hop) -> None:
    up = gateway(hop, gateway={"max_message_bytes": "1 MB"})
    before = up.peak_bytes()
    largest = 0
    with up.client() as client:
        client.envelope("large@house.example")
        assert client.say("DATA").code == 354
        for _ in range(100):
            client.write(LINE * 5_000)
            largest = max([largest, *(file.stat().st_size for file in up.stored("tmp"))])
        client.write(b".\r\n")
        assert client.read().code == 552
        assert client.send(CLEAN, "reader@house.example").code == 250
    assert largest <= 1.2 * MIB
    assert up.peak_bytes() - before < 40 * MIB
    assert hop.wait_for("reader@house.example").body == CLEAN
