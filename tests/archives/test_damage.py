"""Archives that were damaged on the way, or on purpose: what can be read is read, and nothing worse happens."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_formats import lha

pytest.importorskip("libarchive")

OPEN = """
import sys
from pathlib import Path
from mailward import Message
from mailward_archives import Archives

for path in map(Path, sys.argv[1:]):
    with Message.from_bytes(path.read_bytes()) as message:
        found = message.add_members(message.root, Archives().unpack(message.root))
        print(path.name, *(finding.rule for finding in found))
"""
HEAD = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n"


def cab(*files: tuple[bytes, bytes], shift: int = 0) -> bytes:
    """Files in a cabinet, a stored folder each; ``shift``: how far off the data of the first one is."""
    first = 36 + 8 * len(files)
    entries = b"".join(
        struct.pack("<IIHHHH", len(content), 0, number, 0, 0, 0x20) + name + b"\0"
        for number, (name, content) in enumerate(files)
    )
    folders, data, at = b"", b"", first + len(entries)
    for number, (_, content) in enumerate(files):
        folders += struct.pack("<IHH", at + len(data) + (0 if number else shift), 1, 0)
        data += struct.pack("<IHH", 0, len(content), len(content)) + content
    head = struct.pack("<IIIIBBHHHHH", at + len(data), 0, first, 0, 3, 1, len(files), len(files), 0, 1, 0)
    return b"MSCF\0\0\0\0" + head + folders + entries + data


def test_a_cabinet_with_data_in_the_wrong_place_crashes_nothing(tmp_path: Path) -> None:
    """A reader of libarchive that is asked for more where it gave up reads through a dangling pointer."""
    files = []
    for shift in range(-3, 12):
        files.append(tmp_path / f"{shift}.eml")
        files[-1].write_bytes(HEAD + cab((b"clam.exe", b"x" * 544), shift=shift))
    done = subprocess.run([sys.executable, "-c", OPEN, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rules = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert set(rules) == {file.name for file in files} - {"0.eml"}
    assert all("unopened" in found for found in rules.values())


def test_each_file_behind_damage_is_reported_until_there_are_too_many(opened: Any) -> None:
    few = cab((b"a.txt", b"first"), (b"b.txt", b"second"), (b"c.txt", b"third"), shift=2)
    findings = opened("x.cab", few).findings
    assert [(finding.rule, finding.name) for finding in findings] == [("unopened", f"{name}.txt") for name in "abc"]
    many = cab(*((b"%d" % number, b"x" * 20) for number in range(30)), shift=2)
    findings = opened("x.cab", many).findings
    assert len(findings) < 15
    assert findings[-1].detail == "cab: too many damaged members"


def test_what_follows_a_damaged_file_is_read_all_the_same(opened: Any) -> None:
    result = opened("x.lzh", lha(b"a.txt", b"\xff" * 40, b"-lh5-")[:-1] + lha(b"b.txt", b"second"))
    assert result.parts["b.txt"] == b"second"
    assert [(finding.rule, finding.name) for finding in result.findings] == [("unopened", "a.txt")]


def test_a_name_that_cannot_be_read_is_reported(opened: Any) -> None:
    """Names marked as UTF-8 that are not: the content is looked at, but no rule on names can be."""
    data = cab((b"\xff\xfe.exe", b"MZ")).replace(b"\x20\0\xff", b"\xa0\0\xff")
    result = opened("x.cab", data)
    assert b"MZ" in result.parts.values()
    assert result.rules == {"unopened"}


def test_content_with_the_wrong_checksum_is_reported_and_looked_at_as_it_is(opened: Any) -> None:
    """The binding takes the number of the warning for a size, and hands over what stood in its buffer before."""
    content = b"hello, world " * 9
    result = opened("x.lzh", lha(b"a.txt", content).replace(b"hello", b"jello", 1))
    assert result.parts["a.txt"] == content.replace(b"hello", b"jello", 1)
    assert [(finding.rule, finding.name) for finding in result.findings] == [("unopened", "a.txt")]
    assert result.findings[0].detail == "lha: ArchiveError: LHa data CRC error"


def test_gaps_of_a_sparse_member_are_zeros(packed: Any, opened: Any, tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.write(b"begin")
        file.seek(3_000_000)
        file.write(b"end")
    hole = (tmp_path / "hole").read_bytes()
    data = packed("x.cpio", "bsdtar", "cf", "x.cpio", "--format=newc", "hole", files={"hole": hole})
    assert opened("x.cpio", data).parts["hole"] == hole
