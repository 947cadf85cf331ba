"""The clamd engine against a real clamd, and through the whole engine."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from mailward import Kind, Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.clamd import ClamdServer
from mailward_antivirus.clamd_address import ClamdAddress
from mailward_antivirus.remote import Remote

SAMPLE = b"a sample that only the test's clamd knows; " * 3


def leaf(content: bytes) -> Part:
    """The one part of a message with this body."""
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


def scanned(clamd: Any, content: bytes, **more: Any) -> Report:
    async def run() -> Report:
        engine = Remote("clamd", (ClamdServer(ClamdAddress(path=str(clamd.path))),), **more)
        try:
            return await engine.scan(leaf(content))
        finally:
            engine.close()

    return asyncio.run(run())


def of_plugin(copy: Any) -> list[tuple[Kind, str, str, str]]:
    return [(f.kind, f.rule, f.name, f.part) for f in copy.findings if f.plugin == "antivirus"]


@pytest.mark.parametrize("socket", ["unix", "tcp"])
def test_a_virus_only_clamd_knows_is_found_over_either_socket(mails: Any, judge: Any, clamd: Any, socket: str) -> None:
    settings = getattr(clamd, socket)
    copy = judge(mails.attached(SAMPLE), settings)
    assert of_plugin(copy) == [(Kind.INFECTED, "clamd", "Test.Sample.UNOFFICIAL", "2")]
    assert copy.action.name == "deliver"
    assert copy.splices
    assert judge(mails.attached(b"harmless"), settings).clean


def test_content_reaches_clamd_decoded_from_every_wrapping(mails: Any, judge: Any, clamd: Any) -> None:
    for raw in (
        mails.attached(SAMPLE, encoding="quoted-printable"),
        mails.attached(mails.zipped(SAMPLE, "x.bin"), "a.zip"),
        mails.forwarded(mails.attached(SAMPLE)),
        mails.plain(mails.uuencoded(SAMPLE)),
    ):
        assert (Kind.INFECTED, "clamd", "Test.Sample.UNOFFICIAL") in [
            hit[:3] for hit in of_plugin(judge(raw, clamd.unix))
        ]


def test_content_over_the_stream_limit_of_clamd_is_unchecked(mails: Any, judge: Any, clamd: Any) -> None:
    for size in (1024 * 1024 + 1, 8 * 1024 * 1024):
        report = scanned(clamd, os.urandom(size))
        assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.LIMIT)
        assert "too large for the scanner" in report.detail
    copy = judge(mails.attached(os.urandom(2 * 1024 * 1024)), clamd.unix)
    assert [hit[0] for hit in of_plugin(copy)] == [Kind.UNCHECKED]
    assert copy.action.name == "hold"


def test_content_over_the_setting_is_not_sent(mails: Any, judge: Any, clamd: Any) -> None:
    copy = judge(mails.attached(SAMPLE * 20), f"{clamd.unix}\nclamd_max_bytes = 1024\non_unchecked = 'reject'")
    assert [(f.kind, f.detail) for f in copy.findings if f.plugin == "antivirus"] == [
        (Kind.UNCHECKED, f"too large for the scanner: {len(SAMPLE * 20)} bytes, allowed: 1024")
    ]
    assert copy.action.name == "reject"


def test_a_stopped_clamd_defers(mails: Any, judge: Any, own_clamd: Any) -> None:
    raw = mails.attached(b"harmless")
    assert judge(raw, own_clamd.unix).clean
    own_clamd.stop()
    for settings in (own_clamd.unix, own_clamd.tcp):
        copy = judge(raw, settings)
        assert {hit[0] for hit in of_plugin(copy)} == {Kind.UNCHECKED}
        assert copy.action.name == "defer"
    assert judge(raw, f"{own_clamd.unix}\non_unavailable = 'hold'").action.name == "hold"


def test_a_clamd_that_ends_while_it_is_sent_content_is_unavailable(own_clamd: Any) -> None:
    class Stopping:
        """A part in whose middle clamd is stopped."""

        size = 10 * 1024 * 1024

        def stream(self, max_bytes: int) -> Any:
            for count in range(self.size // max_bytes):
                if count == 20:
                    own_clamd.stop()
                yield bytes(max_bytes)

    part: Any = Stopping()
    report = asyncio.run(ClamdServer(ClamdAddress(path=str(own_clamd.path)), timeout_s=10).scan(part))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)


def test_an_encrypted_archive_is_encrypted(mails: Any, judge: Any, clamd: Any) -> None:
    data = bytearray(mails.zipped(os.urandom(500), "a.txt"))
    data[6] |= 1  # the encryption bit of the member's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    archive = bytes(data)
    report = scanned(clamd, archive)
    assert (report.status, report.name) == (ScanStatus.PROTECTED, "Heuristics.Encrypted.Zip")
    copy = judge(mails.attached(archive, "a.zip"), f"{clamd.unix}\non_encrypted = 'reject'")
    assert copy.action.name == "reject"
    assert (Kind.ENCRYPTED, "clamd", "Heuristics.Encrypted.Zip", "2") in of_plugin(copy)
    assert judge(mails.attached(archive, "a.zip"), clamd.unix).splices


def test_the_test_file_found_by_the_built_in_engine_is_not_sent_to_clamd(mails: Any, judge: Any, clamd: Any) -> None:
    assert [hit[1] for hit in of_plugin(judge(mails.attached(mails.eicar), clamd.unix))] == ["signatures"]
    both = judge(mails.attached(mails.eicar), f"{clamd.unix}\neicar = false")
    assert of_plugin(both) == [(Kind.INFECTED, "clamd", "Test.Eicar.UNOFFICIAL", "2")]


def test_many_parts_are_scanned_side_by_side(mails: Any, judge: Any, clamd: Any) -> None:
    files = [mails.file(b"part %d" % number, f"{number}.bin") for number in range(40)]
    copy = judge(mails.parts(mails.text(), *files, mails.file(SAMPLE)), clamd.unix)
    assert of_plugin(copy) == [(Kind.INFECTED, "clamd", "Test.Sample.UNOFFICIAL", "42")]
