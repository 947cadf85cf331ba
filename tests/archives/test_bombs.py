"""Archives made to hurt: the limits are met before memory, time or disk are spent."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from mailward import Limits

from .conftest import mail

MIB = 1024 * 1024
SMALL = Limits(max_part_bytes=8 * MIB, max_total_bytes=16 * MIB, max_depth=20)
MEMORY_BYTES = 700 * MIB
JUDGE = """
import re, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from mailward import Limits, Message
from mailward_archives import Archives

def judge(raw):
    plugin, rules = Archives(), set()
    with Message.from_bytes(raw, Limits()) as message:
        for part in message.walk():
            if not part.children and (members := plugin.unpack(part)) is not None:
                rules |= {{(f.kind.value, f.name) for f in message.add_members(part, members)}}
    return sorted(rules)

def most_bytes():
    # ru_maxrss begins with what the process had that started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

sound, bomb = (Path(name).read_bytes() for name in sys.argv[1:])
assert judge(sound) == []
before = most_bytes()
print(judge(bomb))
print(most_bytes() - before)
"""


def zeros(megabytes: int, pack: Any) -> bytes:
    return b"".join((*(pack.compress(bytes(MIB)) for _ in range(megabytes)), pack.flush()))


def gzip_bomb(megabytes: int) -> bytes:
    return zeros(megabytes, zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS))


BOMBS = {
    "gzip": lambda: gzip_bomb(256),
    "bzip2": lambda: zeros(256, bz2.BZ2Compressor()),
    "xz": lambda: zeros(256, lzma.LZMACompressor(preset=1)),
    "gzip twice": lambda: gzip.compress(gzip_bomb(256)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_no_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "sound.eml").write_bytes(mail("sound", gzip.compress(b"one file")))
    (tmp_path / "bomb.eml").write_bytes(mail("bomb", BOMBS[name]()))
    run = subprocess.run(
        [sys.executable, "-c", JUDGE.format(memory=MEMORY_BYTES), "sound.eml", "bomb.eml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    rules, growth_bytes = run.stdout.splitlines()
    assert "limit" in rules
    assert int(growth_bytes) < 32 * MIB


def test_a_bomb_in_7z_is_cut_off(packed: Any, opened: Any) -> None:
    pytest.importorskip("libarchive")
    files = {"a.bin": bytes(64 * MIB), "b.txt": b"after"}
    data = packed("x.7z", "7zz", "a", "-bd", "x.7z", "a.bin", "b.txt", files=files)
    result = opened("x.7z", data, limits=SMALL)
    assert "limit" in result.kinds
    assert b"after" in result.parts.values()


def test_a_bomb_read_by_the_program_is_cut_off(packed: Any, opened: Any) -> None:
    files = {"a.bin": bytes(64 * MIB), "b.txt": b"after"}
    data = packed("x.arj", "arj", "a", "x.arj", "a.bin", "b.txt", files=files)
    result = opened("x.arj", data, limits=SMALL)
    assert "limit" in result.kinds
    assert b"after" in result.parts.values()


def test_a_hundred_layers_meet_the_limit_of_depth(opened: Any) -> None:
    data = b"core"
    for _ in range(100):
        data = gzip.compress(data)
    result = opened("x", data, limits=Limits())
    assert result.kinds == {"limit"}
    assert [finding.name for finding in result.findings] == ["max_depth"]


def tar_of(*entries: tuple[str, bytes, bytes, dict[str, Any]]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, content, fields in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content)
            for key, value in fields.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def test_names_links_and_devices_of_a_tar_touch_nothing(opened: Any, tmp_path: Path) -> None:
    data = tar_of(
        ("../../../../tmp/escaped", tarfile.REGTYPE, b"up", {}),
        ("/etc/passwd", tarfile.REGTYPE, b"absolute", {}),
        ("passwords", tarfile.SYMTYPE, b"", {"linkname": "/etc/passwd"}),
        ("hard", tarfile.LNKTYPE, b"", {"linkname": "/etc/shadow"}),
        ("disk", tarfile.BLKTYPE, b"", {"devmajor": 8}),
        ("pipe", tarfile.FIFOTYPE, b"", {}),
    )
    result = opened("x.tar", data)
    assert sorted(result.parts.values()) == sorted([data, b"up", b"absolute"])
    assert not Path("/tmp/escaped").exists()
    assert [finding.name for finding in result.findings if finding.rule == "special"] == [
        "passwords",
        "hard",
        "disk",
        "pipe",
    ]
    assert not result.kinds


def test_a_sparse_giant_meets_the_limits(opened: Any, tmp_path: Path, require: Any) -> None:
    require("tar")
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 40)
    subprocess.run(["tar", "--sparse", "-cf", "x.tar", "giant"], cwd=tmp_path, check=True)
    started = time.process_time()
    result = opened("x.tar", (tmp_path / "x.tar").read_bytes(), limits=SMALL)
    assert result.kinds == {"limit"}
    assert time.process_time() - started < 10


def test_a_header_that_claims_more_than_there_is_is_reported(opened: Any) -> None:
    data = tar_of(("a", tarfile.REGTYPE, b"x" * 5000, {}))[:2000]
    assert opened("x.tar", data).rules == {"unopened"}


def test_a_damaged_header_in_the_middle_hides_nothing(opened: Any) -> None:
    data = bytearray(tar_of(("a", tarfile.REGTYPE, b"first", {}), ("b", tarfile.REGTYPE, b"second", {})))
    data[1024 + 150] ^= 0xFF
    result = opened("x.tar", bytes(data))
    assert result.parts["a"] == b"first"
    assert b"second" in result.parts["trailing"]
    assert result.kinds == {"unchecked"}


def test_archives_one_after_the_other_are_all_opened(opened: Any) -> None:
    first, second = (tar_of((name, tarfile.REGTYPE, name.encode() * 9, {})) for name in ("one", "two"))
    assert {b"one" * 9, b"two" * 9} <= set(opened("x.tar", first + second).parts.values())


def test_too_many_members_meet_the_limit(opened: Any) -> None:
    data = tar_of(*((f"{number}", tarfile.REGTYPE, b"", {}) for number in range(3000)))
    result = opened("x.tar", data, limits=Limits(max_parts=500))
    assert [finding.name for finding in result.findings] == ["max_parts"]


def test_a_thousand_pax_headers_in_a_row_end_in_a_finding(opened: Any) -> None:
    header = tar_of(("x", b"x", b"9 a=b\n\0\0\0", {}))[:1024]
    result = opened("x.tar", header * 3000 + bytes(1024))
    assert result.kinds <= {"unchecked"}
