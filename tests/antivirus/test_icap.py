"""The ICAP engine against a real c-icap that asks a real clamd, and through the whole engine."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from mailward import Kind, Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.icap import IcapServer
from mailward_antivirus.icap_message import IcapAddress

SAMPLE = b"a sample that only the test's clamd knows; " * 3


def leaf(content: bytes) -> Part:
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


def scanned(icap: Any, *contents: bytes, **more: Any) -> list[Report]:
    async def run() -> list[Report]:
        server = IcapServer(IcapAddress.parse(icap.url), timeout_s=20, **more)
        try:
            return [await server.scan(leaf(content)) for content in contents]
        finally:
            server.close()

    return asyncio.run(run())


def of_plugin(copy: Any) -> list[tuple[Kind, str, str, str]]:
    return [(f.kind, f.rule, f.name, f.part) for f in copy.findings if f.plugin == "antivirus"]


@pytest.mark.parametrize("preview", [False, True])
def test_a_virus_is_found_and_what_is_harmless_is_clear(icap: Any, preview: bool) -> None:
    big = b"text " * 500_000
    reports = scanned(icap, b"harmless", SAMPLE, b"more", big, SAMPLE, b"", preview=preview)
    assert [str(report.status) for report in reports] == ["clear", "infected", "clear", "clear", "infected", "clear"]
    assert reports[1].name == "Test.Sample.UNOFFICIAL"


def test_a_connection_is_used_again(icap: Any) -> None:
    async def run() -> tuple[int, int]:
        server = IcapServer(IcapAddress.parse(icap.url), timeout_s=20)
        opened = []
        for number in range(5):
            await server.scan(leaf(b"%d" % number))
            opened.append(id(server._kept._idle[0].writer))
        server.close()
        return len(opened), len(set(opened))

    assert asyncio.run(run()) == (5, 1)


def test_content_reaches_the_service_decoded_from_every_wrapping(mails: Any, judge: Any, icap: Any) -> None:
    for raw in (
        mails.attached(SAMPLE),
        mails.attached(SAMPLE, encoding="quoted-printable"),
        mails.attached(mails.zipped(SAMPLE, "x.bin"), "a.zip"),
        mails.plain(mails.uuencoded(SAMPLE)),
    ):
        copy = judge(raw, icap.settings)
        assert (Kind.INFECTED, "icap", "Test.Sample.UNOFFICIAL") in [hit[:3] for hit in of_plugin(copy)]
        assert copy.splices or copy.action.name == "drop"
    assert judge(mails.attached(b"harmless"), icap.settings).clean


def test_the_version_is_the_tag_of_the_service(icap: Any) -> None:
    async def run() -> str:
        server = IcapServer(IcapAddress.parse(icap.url), timeout_s=20)
        version = await server.version()
        server.close()
        return version

    assert asyncio.run(run()).startswith('"')


def test_a_service_that_is_not_there_is_not_well(icap: Any) -> None:
    class Wrong:
        url = icap.url.replace("virus_scan", "none")

    (report,) = scanned(Wrong, b"x")
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)
    assert "404" in report.detail


def test_a_part_over_the_setting_is_not_sent(mails: Any, judge: Any, icap: Any) -> None:
    copy = judge(mails.attached(os.urandom(5000)), f"{icap.settings}\nicap_max_bytes = 1024")
    assert [hit[:2] for hit in of_plugin(copy)] == [(Kind.UNCHECKED, "icap")]
    assert copy.action.name == "hold"


def test_the_process_needs_the_network_for_icap_and_for_clamd_by_tcp_alone() -> None:
    from mailward_antivirus import Antivirus, AntivirusSettings

    assert not Antivirus(AntivirusSettings()).needs_network
    assert not Antivirus(AntivirusSettings(clamd=("unix:/run/clamd",))).needs_network
    assert Antivirus(AntivirusSettings(clamd=("unix:/run/clamd", "127.0.0.1:3310"))).needs_network
    assert Antivirus(AntivirusSettings(icap=("icap://127.0.0.1/scan",))).needs_network
