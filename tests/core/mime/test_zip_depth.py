"""The zip reader on archives that clients read differently, and on those that are made to hurt."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import Message
from mailward.values.finding import Finding

from .containers import attached, opened, zipped

VIRUS = b"evil" * 20
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def entry(
    name: bytes, data: bytes, *, local_name: bytes | None = None, method: int = 0, flags: int = 0, **local: int
) -> tuple[bytes, bytes]:
    """Local header with data, and central record without its offset; ``local`` is what the header says instead."""
    packed = zlib.compressobj(wbits=-15) if method == 8 else None
    body = packed.compress(data) + packed.flush() if packed else data
    crc = zlib.crc32(data)
    own = name if local_name is None else local_name
    head = struct.pack(
        "<4s5H3L2H",
        LOCAL,
        20,
        local.get("flags", flags),
        local.get("method", method),
        0,
        33,
        crc,
        local.get("packed", len(body)),
        local.get("size", len(data)),
        len(own),
        0,
    )
    record = struct.pack(
        "<4s6H3L5H", CENTRAL, 20, 20, flags, method, 0, 33, crc, len(body), len(data), len(name), *[0] * 4
    )
    return head + own + body, record + struct.pack("<L", 0) + b"@@@@" + name


def archive(*entries: tuple[bytes, bytes], listed: int | None = None, gap: bytes = b"", disk: int = 0) -> bytes:
    """An archive of these entries, of which the first ``listed`` stand in the directory."""
    out, central, count = b"", b"", 0
    for data, record in entries:
        if listed is None or count < listed:
            central += record.replace(b"@@@@", struct.pack("<L", len(out)), 1)
            count += 1
        out += data + gap
    return out + central + struct.pack("<4s4H2LH", END, disk, disk, count, count, len(central), len(out), 0)


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.rule, one.part) for one in found]


def contents(message: Message) -> list[bytes]:
    return [part.content for part in message.root.children[1].children]


def read(data: bytes, name: str = "a.zip") -> tuple[list[bytes], list[tuple[str, str, str]], Message]:
    message, found = opened(attached(data, name))
    return contents(message), told(found), message


def test_the_archives_made_here_are_in_order():
    data = archive(entry(b"a", b"one"), entry(b"b", b"two" * 99, method=8))
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert read(data)[:2] == ([b"one", b"two" * 99], [])


def test_both_names_of_a_member_are_its_names():
    data = archive(entry(b"photo.png", VIRUS, local_name=b"photo.exe"))
    found, what, message = read(data)
    assert found == [VIRUS]
    assert what == [("ambiguous", "zip_headers", "2")]
    assert [name.text for name in message.part("2/photo.png").names] == ["photo.png", "photo.exe"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (entry(b"a", VIRUS + b"tail", size=len(VIRUS), packed=len(VIRUS)), [VIRUS + b"tail", VIRUS]),
        (entry(b"a", VIRUS, flags=1, **{"method": 0}), None),
    ],
)
def test_sizes_that_differ_are_both_read(made, expected):
    found, what, _ = read(archive(made))
    if expected is None:
        assert what == [("encrypted", "encrypted", "2/a")]
        return
    assert found == expected
    assert what == [("ambiguous", "zip_headers", "2")]


def test_a_content_longer_than_stated_is_read_whole_and_as_stated():
    packed = zlib.compress(VIRUS + b"more", wbits=-15)
    head = struct.pack("<4s5H3L2H", LOCAL, 20, 0, 8, 0, 33, zlib.crc32(VIRUS), len(packed), len(VIRUS), 1, 0)
    tail = (zlib.crc32(VIRUS), len(packed), len(VIRUS), 1, *[0] * 4, 0)
    record = struct.pack("<4s6H3L5HL", CENTRAL, 20, 20, 0, 8, 0, 33, *tail) + b"@@@@a"
    found, what, _ = read(archive((head + b"a" + packed, record)))
    assert found == [VIRUS + b"more", VIRUS]
    assert what == [("ambiguous", "zip_headers", "2")]


def test_methods_that_differ_are_both_read():
    data, record = entry(b"a", VIRUS, method=8)
    stored = struct.pack("<H", 0)
    found, what, _ = read(archive((data[:8] + stored + data[10:], record)))
    assert VIRUS in found
    assert data[31:] in found
    assert ("ambiguous", "zip_headers", "2") in what


def test_a_member_that_only_one_header_calls_encrypted_is_read():
    plain_local = entry(b"a", VIRUS, flags=1)
    data = plain_local[0][:6] + b"\0\0" + plain_local[0][8:]
    found, what, _ = read(archive((data, plain_local[1])))
    assert found == [VIRUS]
    assert what == [("ambiguous", "zip_headers", "2")]


def test_encryption_is_told_member_by_member():
    aes = entry(b"aes", VIRUS, flags=1)
    aes = (aes[0][:8] + b"\x63\0" + aes[0][10:], aes[1][:10] + b"\x63\0" + aes[1][12:])
    found, what, message = read(archive(entry(b"a", b"plain"), entry(b"old", VIRUS, flags=1), aes))
    assert found == [b"plain", b"", b""]
    assert what == [("encrypted", "encrypted", "2/old"), ("encrypted", "encrypted", "2/aes")]
    assert [part.opaque for part in message.part("2").children] == [False, True, True]


def test_a_member_that_no_directory_names_is_read():
    found, what, message = read(archive(entry(b"a", b"one"), entry(b"hidden.exe", VIRUS, method=8), listed=1))
    assert found == [b"one", VIRUS]
    assert what == [("ambiguous", "zip_hidden", "2")]
    assert message.part("2/hidden.exe").filename == "hidden.exe"


def test_a_hidden_member_in_the_slack_behind_compressed_data_is_read():
    hidden, _ = entry(b"hidden.exe", VIRUS)
    data, record = entry(b"a", b"one", method=8)
    size = struct.pack("<L", len(data) - 31 + len(hidden))
    data = data[:18] + size + data[22:] + hidden
    found, what, _ = read(archive((data, record[:20] + size + record[24:])))
    assert found == [b"one", VIRUS]
    assert what == [("ambiguous", "zip_hidden", "2")]


@pytest.mark.parametrize("junk", [b"", b"\0" * 50, b"junk PK\x03\x04 junk"])
def test_archives_one_behind_the_other_are_both_read(junk):
    first, second = archive(entry(b"a.exe", VIRUS, local_name=b"a.txt")), archive(entry(b"b", b"two"))
    found, what, message = read(first + junk + second)
    assert sorted(found) == sorted([VIRUS, b"two"])
    assert ("ambiguous", "zip_hidden", "2") in what
    assert "a.exe" in {name.text for part in message.part("2").children for name in part.names}


def test_an_archive_in_the_comment_of_another_is_read():
    outer, inner = archive(entry(b"a", b"one")), archive(entry(b"b.exe", VIRUS))
    data = outer[:-2] + struct.pack("<H", len(inner)) + inner
    found, what, _ = read(data)
    assert sorted(found) == sorted([VIRUS, b"one"])
    assert ("ambiguous", "zip_hidden", "2") in what


def test_an_archive_in_an_archive_is_not_taken_for_a_part_of_it():
    inner = archive(entry(b"x", VIRUS))
    found, what, message = read(archive(entry(b"in.zip", inner)))
    assert found == [inner]
    assert what == []
    assert message.part("2/in.zip/x").content == VIRUS


@pytest.mark.parametrize(
    ("before", "kind"),
    [(b"MZ" + b"\x90" * 3000, "note"), (b"GIF89a" + b"\0" * 100, "ambiguous"), (b"\xff\xd8\xff\xe0" * 9, "ambiguous")],
)
@pytest.mark.parametrize("adjusted", [False, True])
def test_an_archive_behind_something_else_is_opened(before, kind, adjusted):
    data = zipped(("a.exe", VIRUS))
    if adjusted:
        target = io.BytesIO(before)
        with zipfile.ZipFile(target, "a") as made:
            made.writestr("a.exe", VIRUS)
        data = target.getvalue()[len(before) :]
    found, what, message = read(before + data, "picture.gif")
    assert found == [VIRUS]
    assert what == [(kind, "zip_prefix", "2")]
    assert message.part("2").detected_type


def test_the_end_record_counts_only_where_an_archive_is():
    assert read(b"\xff\xd8\xff\xe0 PK\x05\x06" + bytes(18), "a.jpg")[:2] == ([], [])
    assert read(b"text PK\x05\x06 text", "a.txt")[:2] == ([], [])


def test_volumes_are_told():
    assert ("unchecked", "multivolume", "2") in read(archive(entry(b"a", b"one"), disk=3))[1]
    found, what, _ = read(b"PK\x07\x08" + archive(entry(b"a", VIRUS))[: 30 + 1 + len(VIRUS)])
    assert found == [VIRUS]
    assert what == [("unchecked", "multivolume", "2")]


@pytest.mark.parametrize("method", [1, 6, 9, 93, 97, 98, 1234])
def test_unknown_methods_are_unchecked(method):
    data, record = entry(b"a", VIRUS)
    number = struct.pack("<H", method)
    made = (data[:8] + number + data[10:], record[:10] + number + record[12:])
    _, what, _ = read(archive(made, entry(b"b", b"two")))
    assert what == [("unchecked", "unopened", "2/a")]


def test_xz_is_read():
    import lzma

    data, record = entry(b"a", lzma.compress(VIRUS))
    fixed = struct.pack("<LLL", zlib.crc32(VIRUS), len(data) - 31, len(VIRUS))
    data = data[:8] + b"\x5f\0" + data[10:14] + fixed + data[26:]
    record = record[:10] + b"\x5f\0" + record[12:16] + fixed + record[28:]
    assert read(archive((data, record)))[:2] == ([VIRUS], [])


def test_duplicate_names_are_all_read():
    found, what, message = read(archive(entry(b"a", b"one"), entry(b"a", VIRUS), entry(b"A", b"three")))
    assert found == [b"one", VIRUS, b"three"]
    assert what == []
    assert [part.path for part in message.part("2").children] == ["2/a", "2/a#2", "2/A"]


@pytest.mark.parametrize(
    ("name", "flags", "extra", "names"),
    [
        (b"\x81.exe", 0, b"", ["\u00fc.exe", "\ufffd.exe"]),
        ("\u00fc.exe".encode(), 0, b"", ["\u251c\u255d.exe", "\u00fc.exe"]),
        ("\u00fc.exe".encode(), 0x800, b"", ["\u00fc.exe"]),
        (b"a.exe\0.txt", 0, b"", ["a.exe.txt", "a.exe"]),
        (b"..\\..\\a.exe", 0, b"", ["a.exe"]),
        (b"a.txt", 0, struct.pack("<BL", 1, zlib.crc32(b"a.txt")) + b"b.exe", ["b.exe", "a.txt"]),
        (b"a.txt", 0, struct.pack("<BL", 1, 0) + b"b.exe", ["a.txt", "b.exe"]),
    ],
)
def test_every_name_that_a_client_may_show(name, flags, extra, names):
    field = struct.pack("<HH", 0x7075, len(extra)) + extra if extra else b""
    data, record = entry(name, VIRUS, flags=flags)
    data = data[:28] + struct.pack("<H", len(field)) + data[30 : 30 + len(name)] + field + data[30 + len(name) :]
    record = record[:30] + struct.pack("<H", len(field)) + record[32:] + field
    found, what, message = read(archive((data, record)))
    assert found == [VIRUS]
    assert what == []
    assert [one.text for one in message.part("2").children[0].names] == names


def test_folders_are_no_members_and_what_claims_to_be_one_is():
    found, what, _ = read(archive(entry(b"d/", b""), entry(b"e/", VIRUS)))
    assert found == [VIRUS]
    assert what == []


def overlapping(files: int, size: int) -> bytes:
    """A bomb of the kind in which all members share their data (Fifield 2019)."""
    packer = zlib.compressobj(9, wbits=-15)
    kernel = packer.compress(bytes(size)) + packer.flush()
    crc = zlib.crc32(bytes(size))
    sizes = (crc, len(kernel), size)
    out = struct.pack("<4s5H3L2H", LOCAL, 20, 0, 8, 0, 33, *sizes, 1, 0) + b"a" + kernel
    central = b"".join(
        struct.pack("<4s6H3L5H2L", CENTRAL, 20, 20, 0, 8, 0, 33, *sizes, 5, 0, 0, 0, 0, 0, 0) + b"%05d" % number
        for number in range(files)
    )
    return out + central + struct.pack("<4s4H2LH", END, 0, 0, files, files, len(central), len(out), 0)


def test_members_that_share_a_header_are_one_member():
    found, what, message = read(overlapping(50, 5_000))
    assert found == [bytes(5_000)]
    assert what == [("ambiguous", "zip_headers", "2")]
    assert len(message.part("2").children[0].names) == 51


def test_members_that_share_their_bytes_are_told():
    second, record = entry(b"b", b"two")
    first, outer = entry(b"a", second)
    central = outer.replace(b"@@@@", bytes(4)) + record.replace(b"@@@@", struct.pack("<L", 31))
    data = first + central + struct.pack("<4s4H2LH", END, 0, 0, 2, 2, len(central), len(first), 0)
    found, what, _ = read(data)
    assert found == [second, b"two"]
    # The content of the first is itself a header without a directory.
    assert what == [("ambiguous", "zip_overlap", "2"), ("unchecked", "unopened", "2/a")]


def test_more_members_than_are_counted_are_all_read():
    data = bytearray(archive(entry(b"a", b"one"), entry(b"b", VIRUS)))
    at = data.rindex(END)
    data[at + 8 : at + 12] = struct.pack("<HH", 1, 1)
    found, what, _ = read(bytes(data))
    assert found == [b"one", VIRUS]
    assert what == [("ambiguous", "zip_directory", "2")]


def nested(levels: int, width: int) -> bytes:
    """A bomb of the 42.zip kind: archives of archives."""
    data = zipped(("0", bytes(3_000_000)))
    for _ in range(levels):
        data = zipped(*((f"{n}.zip", data) for n in range(width)))
    return data


def lzma_bomb() -> bytes:
    """A member that asks for a dictionary of 4 GB."""
    data, record = entry(b"a", b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(100))
    return archive((data[:8] + b"\x0e\0" + data[10:], record[:10] + b"\x0e\0" + record[12:]))


def bzip2_bomb() -> bytes:
    return zipped(*((str(n), bytes(40_000_000)) for n in range(3)), method=zipfile.ZIP_BZIP2)


def many_ends() -> bytes:
    """A directory of many records, and very many end records that point to it."""
    central = (struct.pack("<4s6H3L5H2L", CENTRAL, 20, 20, 0, 0, 0, 33, *[0] * 10) + b"") * 20_000
    ends = b"".join(
        struct.pack("<4s4H2LH", END, 0, 0, 1, 1, len(central) + 22 * number, 0, 0) for number in range(50_000)
    )
    return b"PK\x03\x04" + central + ends


BOMBS = {
    "overlap": lambda: overlapping(40_000, 20_000_000),
    "nested": lambda: nested(6, 10),
    "zeros": lambda: zipped(*((str(n), bytes(60_000_000)) for n in range(5))),
    "lzma dictionary": lzma_bomb,
    "bzip2": bzip2_bomb,
    "many ends": many_ends,
    "many headers": lambda: archive(entry(b"a", b"x")) + (b"PK\x03\x04" + bytes(4)) * 300_000,
    "many members": lambda: overlapping(49_000, 10)[:-22] + archive(*[entry(b"a", b"")] * 3000),
}
_CHILD = """
import re, resource, sys
sys.path[:0] = sys.argv[2].split(":")
from mailward.mime import Message, unpack_zip
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
message = Message.from_file(sys.argv[1])
kinds = set()
for part in message.walk():
    members = unpack_zip(part)
    if members is not None:
        kinds.update(finding.kind.value for finding in message.add_members(part, members))
# ru_maxrss begins with what the process had that started this one.
with open("/proc/self/status") as status:
    most_kib = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
print(" ".join(sorted(kinds)), most_kib // 1024)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bounded(name, tmp_path: Path):
    path = tmp_path / "bomb.eml"
    path.write_bytes(attached(BOMBS[name](), "a.zip"))
    answer = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), ":".join(sys.path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert answer.returncode == 0, answer.stderr
    *kinds, megabytes = answer.stdout.split()
    assert set(kinds) & {"limit", "unchecked", "ambiguous"}
    assert int(megabytes) < 400


def test_a_quine_stops_at_the_depth():
    """An archive that contains itself: here one whose member is read from the same bytes again and again."""
    data = archive(entry(b"r.zip", VIRUS))
    for _ in range(15):
        data = archive(entry(b"r.zip", data))
    _, what, _ = read(data)
    assert [rule for _, rule, _ in what] == ["limit"]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_archives_never_raise_and_are_never_silent(data):
    members = [("a.txt", b"one" * 30), ("b/c.exe", VIRUS), ("d", random.Random(4).randbytes(300))]
    raw = bytearray(zipped(*members, method=data.draw(st.sampled_from([0, 8, 12, 14]))))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 60))
    opened(attached(bytes(raw[cut // 2 : len(raw) - cut // 3])))
