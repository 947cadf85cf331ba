"""Byte patterns: what each form of an .ndb line matches, beside a matcher of a few lines that cannot be wrong."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Message
from mailward_antivirus.patterns import PatternError, PatternSet, TooManyHits, Unsupported, parse_line, passes
from mailward_antivirus.patterns.executable import HEAD_BYTES, layout_of
from mailward_antivirus.patterns.passes import AhoPass, make_pass
from mailward_antivirus.patterns.place import Surface
from mailward_antivirus.signature_files import SignatureSet


def found(line: str, content: bytes, window: int = 1 << 20, kind: str = "") -> bool:
    surface = Surface(len(content), lambda: kind, lambda: layout_of(content[:HEAD_BYTES]))
    chunks = [content[at : at + window] for at in range(0, len(content), window)]
    return PatternSet.of([parse_line(line)]).find(chunks, surface) is not None


def hexed(text: bytes) -> str:
    return text.hex()


@pytest.mark.parametrize(
    ("body", "yes", "no"),
    [
        (hexed(b"virus"), b"a virus here", b"a vires here"),
        ("76??727573", b"a v!rus", b"a vrus"),
        ("7?69727573", b"virus wirus", b"aairus"),
        ("?669727573", b"virus Firus", b"girus"),
        (f"{hexed(b'one')}*{hexed(b'two')}", b"one and then two", b"two and then one"),
        (f"{hexed(b'one')}*{hexed(b'one')}", b"one one", b"one"),
        (f"{hexed(b'one')}{{3}}{hexed(b'two')}", b"one123two", b"one12two"),
        (f"{hexed(b'one')}{{300}}{hexed(b'two')}", b"one" + bytes(300) + b"two", b"one" + bytes(299) + b"two"),
        (f"{hexed(b'one')}{{2-4}}{hexed(b'two')}", b"one1234two", b"one12345two"),
        (f"{hexed(b'one')}{{2-4}}{hexed(b'two')}", b"one12two", b"one1two"),
        (f"{hexed(b'one')}[2-4]{hexed(b'two')}", b"one123two", b"onetwo"),
        (f"{hexed(b'one')}{{-4}}{hexed(b'two')}", b"onetwo", b"one12345two"),
        (f"{hexed(b'one')}{{4-}}{hexed(b'two')}", b"one1234567two", b"one123two"),
        ("76(69|65)727573", b"verus", b"vorus"),
        ("76(69|6565)727573", b"veerus", b"verus"),
        ("76!(69|65)727573", b"vorus", b"virus"),
        (f"(6161|6262)*{hexed(b'end')}", b"bb to the end", b"b to the end"),
        (f"{hexed(b'ab')}{{0-9}}??{{0-9}}{hexed(b'cd')}", b"ab123456789x123456789cd", b"abcd"),
    ],
)
def test_each_wildcard_matches_what_it_says_and_no_more(body: str, yes: bytes, no: bytes) -> None:
    for window in (1 << 20, 7, 1):
        assert found(f"Test:0:*:{body}", yes, window)
        assert not found(f"Test:0:*:{body}", no, window)


@pytest.mark.parametrize(
    ("offset", "at", "matches"),
    [
        ("0", 0, True),
        ("0", 1, False),
        ("10", 10, True),
        ("10,5", 15, True),
        ("10,5", 16, False),
        ("EOF-5", 95, True),
        ("EOF-5", 94, False),
        ("EOF-20,5", 85, True),
        ("EOF-20,5", 86, False),
        ("*", 50, True),
    ],
)
def test_an_offset_says_where_a_signature_begins(offset: str, at: int, matches: bool) -> None:
    content = bytearray(b"." * 100)
    content[at : at + 5] = b"virus"
    for window in (1000, 13):
        assert found(f"Test:0:{offset}:{hexed(b'virus')}", bytes(content), window) is matches


def pe(at_entry: bytes, second: bytes = b"") -> bytes:
    """A minimal PE file with two sections."""
    header = bytearray(0x400)
    header[:2] = b"MZ"
    struct.pack_into("<I", header, 0x3C, 0x80)
    header[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<HHIIIHH", header, 0x84, 0x14C, 2, 0, 0, 0, 0xE0, 0x102)
    struct.pack_into("<I", header, 0x80 + 40, 0x1010)
    table = 0x80 + 24 + 0xE0
    struct.pack_into("<8s4I", header, table, b".text", 0x200, 0x1000, 0x200, 0x400)
    struct.pack_into("<8s4I", header, table + 40, b".data", 0x200, 0x2000, 0x200, 0x600)
    return bytes(header) + (bytes(0x10) + at_entry).ljust(0x200, b"\0") + second.ljust(0x200, b"\0")


def elf(at_entry: bytes) -> bytes:
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x400080, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000)
    return (header + segment).ljust(0x80, b"\0") + at_entry


@pytest.mark.parametrize(
    ("line", "content", "matches"),
    [
        ("T:1:EP+0:{}", pe(b"virus"), True),
        ("T:1:EP+1:{}", pe(b"virus"), False),
        ("T:1:EP-4:{}", pe(b""), False),
        ("T:1:EP+0,8:{}", pe(b"....virus"), True),
        ("T:1:S0+16:{}", pe(b"virus"), True),
        ("T:1:S1+0:{}", pe(b"", b"virus"), True),
        ("T:1:SL+3:{}", pe(b"", b"...virus"), True),
        ("T:1:SE1:{}", pe(b"", b"......virus"), True),
        ("T:1:SE0:{}", pe(b"", b"......virus"), False),
        ("T:1:S7+0:{}", pe(b"virus"), False),
        ("T:6:EP+0:{}", elf(b"virus"), True),
        ("T:1:EP+0:{}", elf(b"virus"), False),
        ("T:0:EP+0:{}", b"MZ virus", False),
    ],
)
def test_offsets_in_programs_are_read_from_their_headers(line: str, content: bytes, matches: bool) -> None:
    with Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content) as message:
        kind = message.root.detected_type
    assert found(line.format(hexed(b"virus")), content, kind=kind) is matches


@given(st.binary(max_size=200), st.sampled_from((b"MZ", b"\x7fELF\2\1", b"\x7fELF\1\2")))
def test_headers_that_do_not_add_up_have_no_entry_point(rest: bytes, magic: bytes) -> None:
    assert layout_of(magic + rest).entry is None or len(rest) > 50


def test_a_target_keeps_a_signature_to_its_kind_of_file() -> None:
    line = f"T:10:*:{hexed(b'virus')}"
    assert found(line, b"a virus", kind="application/pdf")
    assert not found(line, b"a virus", kind="text/html")
    assert found(f"T:5:*:{hexed(b'virus')}", b"a virus", kind="image/png")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name:0:*",
        ":0:*:6161",
        "name:x:*:6161",
        "name:0:*:616",
        "name:0:*:61zz",
        "name:0:*:",
        "name:0:*:*6161",
        "name:0:*:6161{2-4}",
        "name:0:*:6161{4-2}6161",
        "name:0:*:6161{-}6161",
        "name:0:*:6161**6161",
        "name:0:*:6161(61|z)",
        "name:0:*:6161(61",
        "name:0:*:!(61|6161)6161",
        "name:0:EP:6161",
        "name:0:-1:6161",
        "name:0:1,x:6161",
        "name:0:*:6161:x",
        "name:0:*:6161:1:2:3",
    ],
)
def test_what_is_no_signature_is_an_error(line: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse_line(line)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize(
    ("line", "feature"),
    [
        ("name:3:*:6161", "target 3"),
        ("name:7:*:6161", "target 7"),
        ("name:1:VI:6161", "offset VI"),
        ("name:0:*:(B)6161", "boundaries"),
        ("name:0:*:6161${1-2}4$", "macros"),
        ("name:0:*:61??61", "stretches without 2 fixed bytes"),
        ("name:0:*:6161{0-70000}6161", "bounded gaps of more than 65536 bytes"),
        ("name:0:*:" + "(61|6262)" * 7 + "6161", "alternatives of many lengths"),
    ],
)
def test_what_is_not_carried_out_is_counted_by_what_it_asks_for(tmp_path: Path, line: str, feature: str) -> None:
    path = tmp_path / "own.ndb"
    path.write_text(f"{line}\nGood:0:*:{hexed(b'virus')}\n")
    known = SignatureSet.load([path])
    assert known.unsupported == ((feature, 1),)
    assert len(known) == 1


def test_a_bad_line_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "own.ndb").write_text("Good:0:*:6161\nBad:0:*:6161(\n")
    with pytest.raises(ValueError, match=r"own\.ndb, line 2: .* is no part of a signature's body"):
        SignatureSet.load([tmp_path / "own.ndb"])


ALPHABET = b"ab\0"
PLACES = st.sampled_from(["61", "62", "00", "??", "6?", "?1", "(61|62)", "(61|6262)", "!(61)"])
GAPS = st.sampled_from(["", "", "*", "{1}", "{2-3}", "{-2}", "{1-}", "[0-4]"])


def slow(body: str) -> re.Pattern[bytes]:
    """The same body as one regular expression that backtracks."""
    pairs = (
        (r"\*", ".*"),
        (r"\{(\d+)\}", r".{\1}"),
        (r"[\[{](\d+)-(\d*)[\]}]", r".{\1,\2}"),
        (r"\{-(\d+)\}", r".{0,\1}"),
    )
    made = "".join(_place(token) for token in re.findall(r"!?\([^)]*\)|\{[^}]*\}|\[[^\]]*\]|\*|..", body))
    for pattern, replacement in pairs:
        made = re.sub(f"<{pattern}>", replacement, made)
    return re.compile(made.encode("latin-1"), re.DOTALL)


def _place(token: str) -> str:
    if token.startswith("!"):
        return f"(?!{_choice(token[2:-1])})."
    if token.startswith("("):
        return f"(?:{_choice(token[1:-1])})"
    if token[0] in "*{[":
        return f"<{token}>"
    values = [v for v in range(256) if all(a in ("?", b) for a, b in zip(token, f"{v:02x}", strict=True))]
    return "[" + "".join(f"\\x{value:02x}" for value in values) + "]"


def _choice(text: str) -> str:
    return "|".join("".join(_place(one[at : at + 2]) for at in range(0, len(one), 2)) for one in text.split("|"))


@given(
    st.lists(st.tuples(PLACES, GAPS), min_size=1, max_size=6),
    st.lists(st.sampled_from(ALPHABET), max_size=40).map(bytes),
    st.integers(1, 50),
)
def test_signatures_match_what_a_backtracking_expression_matches(
    items: list[tuple[str, str]], content: bytes, window: int
) -> None:
    body = "6162" + "".join(gap + place for place, gap in items)
    try:
        signature = parse_line(f"T:0:*:{body}")
    except Unsupported:
        return
    surface = Surface(len(content), str, lambda: layout_of(b""))
    chunks = [content[at : at + window] for at in range(0, len(content), window)]
    expected = bool(slow(body).search(content))
    for make in (make_pass, AhoPass):
        assert (PatternSet.of([signature], make).find(chunks, surface) is not None) == expected


@given(
    st.sets(st.binary(min_size=1, max_size=6).map(lambda piece: bytes(byte % 3 for byte in piece)), max_size=6),
    st.binary(max_size=60).map(lambda content: bytes(byte % 3 for byte in content)),
    st.integers(1, 9),
)
def test_a_pass_in_windows_tells_every_piece_once_and_in_order(pieces: set[bytes], content: bytes, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "WINDOW_BYTES", window)
        hits = list(AhoPass({piece: piece for piece in pieces}).hits(content))
    ends = range(len(content) + 1)
    assert sorted(hits) == sorted((end, piece) for end in ends for piece in pieces if content[:end].endswith(piece))
    assert [end for end, _ in hits] == sorted(end for end, _ in hits)


def test_many_signatures_are_one_pass() -> None:
    lines = [f"Test.{number}:0:*:{number:08x}*{number:08x}" for number in range(0x10000000, 0x10000000 + 3000)]
    patterns = PatternSet.of(map(parse_line, lines))
    surface = Surface(100, str, lambda: layout_of(b""))
    hit = patterns.find([bytes.fromhex("10000007") + b" and " + bytes.fromhex("10000007")], surface)
    assert hit is not None
    assert hit.name == f"Test.{0x10000007}"


def test_content_made_to_hit_without_end_is_given_up_and_never_clear(mails: Any, judge: Any, tmp_path: Path) -> None:
    surface = Surface(1 << 20, str, lambda: layout_of(b""))
    with pytest.raises(TooManyHits):
        PatternSet.of([parse_line("T:0:*:6161{0-60000}7a7a")]).find([b"a" * (1 << 20)], surface)
    (tmp_path / "own.ndb").write_text("T:0:*:6161{0-60000}7a7a\n")
    copy = judge(mails.attached(b"a" * (1 << 20)), f'signatures = ["{tmp_path}/own.ndb"]')
    (finding,) = [f for f in copy.findings if f.plugin == "antivirus"]
    assert (str(finding.kind), copy.action.name) == ("unchecked", "hold")
    assert "not checked to its end" in finding.detail


def test_a_pattern_finds_its_content_in_every_wrapping(mails: Any, judge: Any, tmp_path: Path) -> None:
    (tmp_path / "own.ndb").write_text(f"Own.Pattern:0:*:{hexed(b'needle')}*{hexed(b'end')}\n")
    hay = random.Random(1).randbytes(6_000_000)
    content = hay + b"needle" + hay + b"end"
    for raw in (mails.attached(content), mails.attached(mails.zipped(content, "x.bin"), "a.zip")):
        copy = judge(raw, f'signatures = ["{tmp_path}/own.ndb"]')
        assert {f.name for f in copy.findings if f.plugin == "antivirus"} == {"Own.Pattern"}
        assert copy.splices
