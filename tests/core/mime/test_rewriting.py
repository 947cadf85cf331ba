"""Edits inside containers: the member goes, everything else stays, and other programs can read the result."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import random
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.mime import EditError, Message, apply, resolve
from mailward.values.edit import DeletePart, Edit, ReplaceContent, ReplacePart

from .containers import attached, gzipped, leaves, opened, tarred, zipped

GOOD, BAD, MORE = b"good content " * 50, b"evil", bytes(range(256)) * 300
THREE = (("docs/good.txt", GOOD), ("bad.exe", BAD), ("more.bin", MORE))


def edited(raw: bytes, *edits: Edit) -> bytes:
    message, _ = opened(raw)
    return apply(raw, resolve(message, edits))


def content(raw: bytes, path: str) -> bytes:
    return opened(raw)[0].part(path).content


def infos(data: bytes) -> list[tuple[object, ...]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return [(i.filename, i.date_time, i.external_attr, i.compress_type, i.file_size) for i in archive.infolist()]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_deleted_member_gives_way_to_a_text_file_and_the_others_keep_every_byte(method, streamed):
    data = zipped(*THREE, method=method, streamed=streamed)
    raw = attached(data, "a.zip")
    changed = edited(raw, DeletePart("2/bad.exe"))
    after, found = opened(changed)
    assert found == after.defects == []
    assert leaves(after) == {
        "1": b"Good day.",
        "2/docs%2Fgood.txt": GOOD,
        "2/DELETED0.TXT": b"The file 'bad.exe' was taken out.\r\n",
        "2/more.bin": MORE,
    }
    new = after.part("2").content
    before, rest = infos(data), infos(new)
    assert [rest[0], rest[2]] == [before[0], before[2]]
    assert rest[1][:3] == ("DELETED0.TXT", before[1][1], 0o100644 << 16)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        starts = [info.header_offset for info in archive.infolist()]
        end = archive.start_dir
        assert zipfile.ZipFile(io.BytesIO(new)).comment == archive.comment == b"a comment"
    assert new.startswith(data[: starts[1]])
    assert data[starts[2] : end] in new


def test_the_message_changes_only_from_the_member_on():
    for end, columns in ((b"\r\n", 76), (b"\n", 60)):
        raw = attached(zipped(("big.bin", random.Random(1).randbytes(20_000)), *THREE), "a.zip", end, columns)
        message, _ = opened(raw)
        (splice,) = resolve(message, [DeletePart("2/bad.exe")])
        assert splice.start > raw.index(b"\n\nUEsDB".replace(b"\n", end)) + 20_000
        assert raw[splice.end :].endswith(end + b"--limit--" + end)
        assert {len(line) for line in splice.data.splitlines()[1:-1]} == {columns}


def test_a_placeholder_and_a_repair_in_one_archive():
    raw = attached(zipped(*THREE), "a.zip")
    edits = [ReplacePart("2/bad.exe", "Taken out:\nvirus caf\u00e9"), ReplaceContent("2/more.bin", b"clean")]
    after = leaves(opened(edited(raw, *edits))[0])
    assert after["2/DELETED0.TXT"].decode() == "Taken out:\r\nvirus caf\u00e9\r\n"
    assert after["2/more.bin"] == b"clean"
    assert after["2/docs%2Fgood.txt"] == GOOD


def test_deletions_are_numbered_past_the_names_that_are_there():
    raw = attached(zipped(("a", b"1"), ("deleted0.txt", b"2"), ("b", b"3"), ("c", b"4")), "a.zip")
    names = [name for name, *_ in infos(content(edited(raw, *(DeletePart(f"2/{n}") for n in "ca")), "2"))]
    assert names == ["DELETED1.TXT", "deleted0.txt", "b", "DELETED2.TXT"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_members_are_replaced_whatever_the_form(form):
    long = "folder/" * 12 + "x" * 90 + ".exe"
    data = tarred(("a", GOOD), (long, BAD), ("\u00e9.txt", b"x"), ("bad.exe", BAD), ("z", MORE), form=form)
    raw = attached(data, "a.tar")
    message, _ = opened(raw)
    victims = [part.path for part in message.walk() if part.path.endswith(".exe")]
    new = content(apply(raw, resolve(message, [*map(DeletePart, victims), ReplaceContent("2/z", b"clean")])), "2")
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=io.BytesIO(new)) as archive:
        before, after = old.getmembers(), archive.getmembers()
        assert [info.name for info in after] == ["a", "DELETED0.TXT", "\u00e9.txt", "DELETED1.TXT", "z"]
        assert [(i.mtime, i.uname) for i in after] == [(i.mtime, i.uname) for i in before]
        assert [archive.extractfile(info).read() for info in (after[0], after[2], after[4])] == [GOOD, b"x", b"clean"]
        assert b"taken out" in archive.extractfile(after[1]).read()


def test_gzip_is_written_again():
    raw = attached(gzipped("bad.exe", BAD), "bad.exe.gz")
    (victim,) = [part.path for part in opened(raw)[0].walk() if part.depth == 2]
    new = content(edited(raw, DeletePart(victim)), "2")
    assert b"taken out" in gzip.decompress(new)
    assert (new[4:8], new[10:23]) == (struct.pack("<L", 1_700_000_000), b"DELETED0.TXT\0")
    repaired = content(edited(raw, ReplaceContent(victim, b"clean")), "2")
    assert gzip.decompress(repaired) == b"clean"
    assert repaired[:18] == gzipped("bad.exe", BAD)[:18]


def test_nested_containers_are_written_again_from_the_inside():
    inner = attached(gzipped("n.tar", tarred(("good", GOOD), ("n.zip", zipped(*THREE)))), "n.tar.gz", b"\n")
    raw = attached(zipped(("mail.eml", inner), ("beside", MORE)), "a.zip")
    message, _ = opened(raw)
    before = leaves(message)
    (victim,) = [path for path in before if path.endswith("bad.exe")]
    after, found = opened(apply(raw, resolve(message, [DeletePart(victim)])))
    assert found == []
    assert after.defects == message.defects
    replaced = victim.replace("bad.exe", "DELETED0.TXT")
    assert list(leaves(after)) == [path.replace(victim, replaced) for path in before]
    assert {p: c for p, c in leaves(after).items() if p != replaced} == {p: c for p, c in before.items() if p != victim}


def test_a_part_of_a_mail_in_an_archive_is_cut_out_of_that_mail():
    inner = attached(BAD, "bad.exe", b"\n")
    raw = attached(zipped(("m.eml", inner)), "a.zip")
    changed = edited(raw, DeletePart("2/m.eml/2"))
    assert content(changed, "2/m.eml") == inner[: inner.rindex(b"\n--limit\nContent")] + b"\n--limit--\n"


def test_an_archive_in_a_uuencode_block_is_written_again():
    data = zipped(*THREE)
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    raw = b"Subject: s\n\nhello\nbegin 644 a.zip\n" + lines + b"`\nend\nbye\n"
    changed = edited(raw, DeletePart("1/a.zip/bad.exe"))
    assert changed.startswith(b"Subject: s\n\nhello\nbegin 644 a.zip\nM")
    assert changed.endswith(b"`\nend\nbye\n")
    assert set(leaves(opened(changed)[0])) == {
        "1/a.zip/docs%2Fgood.txt",
        "1/a.zip/DELETED0.TXT",
        "1/a.zip/more.bin",
    }


def encrypted(data: bytes) -> bytes:
    raw = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    return bytes(raw)


def shifted(data: bytes) -> bytes:
    """The local name of the first member differs from the one in the directory."""
    raw = bytearray(data)
    raw[raw.index(b"good.txt")] = ord("f")
    return bytes(raw)


CLOSED = {
    "encrypted": encrypted(zipped(*THREE)),
    "names that differ": shifted(zipped(*THREE)),
    "something before": b"MZ" + zipped(*THREE),
    "something behind": zipped(*THREE) + zipped(("b", b"x")),
    "a document": zipped(("[Content_Types].xml", b"<x/>"), *THREE),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_container_that_cannot_be_written_again_goes_whole(name):
    raw = attached(CLOSED[name], "a.zip")
    message, _ = opened(raw)
    assert resolve(message, [DeletePart("2/bad.exe")]) == resolve(message, [DeletePart("2")])
    assert resolve(message, [ReplacePart("2/bad.exe", "t")]) == resolve(message, [ReplacePart("2", "t")])
    if name == "a document":
        assert content(edited(raw, ReplaceContent("2/bad.exe", b"clean")), "2/bad.exe") == b"clean"
        return
    with pytest.raises(EditError, match=r"'2/bad\.exe' cannot be rewritten"):
        resolve(message, [ReplaceContent("2/bad.exe", b"clean")])


def test_what_is_around_an_archive_that_cannot_be_written_again_is():
    raw = attached(zipped(("closed.zip", CLOSED["encrypted"]), ("more", MORE)), "a.zip")
    after = leaves(opened(edited(raw, DeletePart("2/closed.zip/bad.exe")))[0])
    assert list(after) == ["1", "2/DELETED0.TXT", "2/more"]
    with pytest.raises(EditError):
        edited(raw, ReplaceContent("2/closed.zip/bad.exe", b"clean"))


def test_a_member_that_was_not_read_takes_the_archive_with_it():
    data = bytearray(zipped(("same", BAD * 9), ("same", b"")))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(signature) + offset] = 9  # Deflate64
    raw = attached(bytes(data), "a.zip")
    message, found = opened(raw)
    assert [(one.rule, one.part) for one in found] == [("unopened", "2/same")]
    assert message.part("2/same").content == message.part("2/same#2").content == b""
    for path in ("2/same", "2/same#2"):
        assert resolve(message, [DeletePart(path)]) == resolve(message, [DeletePart("2")])
    big = attached(zipped(("big", bytes(3_000_000)), ("empty", b"")), "a.zip")
    message, _ = opened(big, max_part_bytes=1_000_000)
    assert message.part("2/big").opaque
    assert resolve(message, [DeletePart("2/big")]) == resolve(message, [DeletePart("2")])


def test_equal_members_go_one_by_one():
    raw = attached(zipped(("a", BAD), ("b", BAD), ("c", GOOD)), "a.zip")
    assert list(leaves(opened(edited(raw, DeletePart("2/b")))[0])) == ["1", "2/a", "2/DELETED0.TXT", "2/c"]
    both = leaves(opened(edited(raw, DeletePart("2/b"), DeletePart("2/a")))[0])
    assert list(both) == ["1", "2/DELETED0.TXT", "2/DELETED1.TXT", "2/c"]


def test_large_archives_are_written_again():
    big = random.Random(2).randbytes(3_000_000)
    raw = attached(zipped(("big", big), ("bad.exe", BAD), ("text", b"abcdefgh" + big[:20_000] * 100)), "a.zip")
    after = opened(edited(raw, DeletePart("2/bad.exe")))[0]
    assert after.part("2/big").content == big
    assert after.part("2/text").size == 2_000_008


def zip64(*members: tuple[str, bytes]) -> bytes:
    """An archive with zip64 fields and end records, small as it is."""
    out, central = b"", b""
    for name, data in members:
        raw_name, crc = name.encode(), zlib.crc32(data)
        extra = struct.pack("<HHQQ", 1, 16, len(data), len(data))
        wide = struct.pack("<HHQQQ", 1, 24, len(data), len(data), len(out))
        full = 0xFFFFFFFF
        central += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, 0, 33, crc, full, full, len(raw_name), 28, 0, 0, 0, 0, full
        )
        central += raw_name + wide
        out += struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, crc, full, full, len(raw_name), 20)
        out += raw_name + extra + data
    count, start, size = len(members), len(out), len(central)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    return out + central + end64 + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, full, 0)


def test_zip64_is_read_and_written_again():
    data = zip64(*THREE)
    raw = attached(data, "a.zip")
    message, found = opened(raw)
    assert found == []
    assert message.part("2/bad.exe").content == BAD
    new = content(edited(raw, DeletePart("2/bad.exe")), "2")
    assert [name for name, *_ in infos(new)] == ["docs/good.txt", "DELETED0.TXT", "more.bin"]
    assert list(leaves(opened(attached(new))[0]).values())[3] == MORE


@pytest.mark.parametrize("program", ["unzip", "7zz"])
@pytest.mark.parametrize("data", [zipped(*THREE), zipped(*THREE, streamed=True), zip64(*THREE)])
def test_other_programs_read_what_was_written(program, data, tmp_path: Path, require):
    require(program)
    new = content(edited(attached(data, "a.zip"), DeletePart("2/bad.exe"), ReplaceContent("2/more.bin", b"clean")), "2")
    path = tmp_path / "a.zip"
    path.write_bytes(new)
    arguments = [program, "-t" if program == "unzip" else "t", str(path)]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "warning" not in (answer.stdout + answer.stderr).lower()


NAMES = st.sampled_from(["a", "b.exe", "c/d.txt", "e\u00e9", "f.bin", "DELETED0.TXT"])
CONTENTS = st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda piece: piece * 500)


def archives(inner):
    members = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4)
    return st.one_of(
        st.builds(
            lambda m, method, streamed: zipped(*m, method=method, streamed=streamed),
            members,
            st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
            st.booleans(),
        ),
        st.builds(lambda m: tarred(*m), members),
        st.builds(gzipped, st.sampled_from(["x", "y.tar"]), inner),
        st.builds(lambda data: attached(data, "n.bin", b"\n"), inner),
    )


@given(st.data(), st.recursive(CONTENTS, archives, max_leaves=8))
@settings(max_examples=150, deadline=None)
def test_an_edit_anywhere_leaves_everything_else(data, tree):
    raw = attached(tree)
    message, before = opened(raw)
    parts = [part for part in message.walk() if part.is_leaf]
    victim = data.draw(st.sampled_from(parts))
    new = data.draw(st.none() | st.just(b"") | st.binary(max_size=100))
    edit = DeletePart(victim.path) if new is None else ReplaceContent(victim.path, new)
    inside = set()
    above = [victim]
    while above:
        part = above.pop()
        inside.add(part)
        above += part.children
    rest = sorted(p.content for p in parts if p not in inside and not p.children)
    try:
        splices = resolve(message, [edit])
    except EditError:
        return
    after, found = opened(apply(raw, splices))
    assert {one.rule for one in found} <= {one.rule for one in before}
    assert {one.rule for one in after.defects} <= {one.rule for one in message.defects}
    left = [part.content for part in after.walk() if part.is_leaf and not part.children]
    for piece in rest:
        left.remove(piece)
    if not victim.place.source.outer and new:
        assert new in left or opened(attached(new))[0].part("2").children


def test_damage_never_raises_anything_else():
    chance = random.Random(3)
    for make in (zipped, tarred, lambda *members: gzipped("x", members[1][1])):
        data = make(*THREE)
        for _ in range(150):
            raw = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            whole = attached(bytes(raw))
            message, _ = opened(whole)
            for part in list(message.walk())[2:]:
                apply(whole, resolve(message, [DeletePart(part.path)]))


def test_base64_that_was_damaged_is_written_whole():
    raw = attached(zipped(*THREE), "a.zip").replace(b"UEsDB", b"UE!sDB")
    changed = edited(raw, DeletePart("2/bad.exe"))
    assert "2/DELETED0.TXT" in leaves(opened(changed)[0])
    assert Message.from_bytes(changed).part("2").content == content(changed, "2")
    body = changed.split(b"attachment\r\n\r\n")[1].split(b"\r\n--limit")[0]
    assert base64.b64decode(body, validate=False) == content(changed, "2")
