"""Passwords that stand in the message are tried on what is encrypted in it, where that is switched on."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import Limits, Message
from mailward_archives import ArchivesSettings
from mailward_archives.passwords import MOST_TRIES, _words, tries

from .conftest import HEAD, SECRET, Opened, mail, walked

WORD = "Sesam-oeffne7"
LETTERS = [
    f"Good day,\r\n\r\nthe file is attached. Password: {WORD}\r\n\r\nAnna\r\n",
    f"das Passwort für die Datei lautet\r\n  {WORD}.\r\n",
    f"Votre mot de passe est «{WORD}», à bientôt",
    f"open it with '{WORD}' please",
    f"<p>Password: <b>{WORD}</b></p>",
    f"пароль: {WORD}",
    f"解压密码：{WORD}。",
    f"See the file, {WORD}, thank you",
]


def letter(text: str, name: str, content: bytes, kind: str = "plain", subject: str = "hello") -> bytes:
    """A mail with a text and an attachment, part 2."""
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n--=_b"
    raw = mail(name, content).replace(b"Subject: hello", b"Subject: " + subject.encode(), 1)
    return raw.replace(b"\r\n\r\ngood day\r\n--=_b", b"\r\n" + head.encode(), 1)


@pytest.fixture
def tried() -> Callable[..., Opened]:
    """What a mail unfolds into when passwords are tried, unless settings say otherwise."""

    def unfold(raw: bytes, **settings: Any) -> Opened:
        return walked(raw, ArchivesSettings(**({"try_passwords": True} | settings)), Limits())

    return unfold


def encrypted_samples(sdist: Any) -> list[Path]:
    return sorted(next(sdist("oletools==0.60.2").rglob("test-data/encrypted")).iterdir())


FORMATS = {
    "zip": ("-tzip", "-mem=ZipCrypto"),
    "zip AES": ("-tzip", "-mem=AES256"),
    "zip AES stored": ("-tzip", "-mem=AES128", "-mx=0"),
    "zip deflate64": ("-tzip", "-mem=AES256", "-mm=Deflate64"),
    "7z": ("-t7z",),
    "7z with encrypted names": ("-t7z", "-mhe=on"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_password_of_the_message_opens_an_archive(packed: Any, tried: Any, name: str) -> None:
    pytest.importorskip("libarchive")
    data = packed("x.bin", "7zz", "a", "-bd", *FORMATS[name], f"-p{WORD}", "x.bin", "a.txt", "dir")
    result = tried(letter(LETTERS[0], "x.bin", data))
    assert set(result.parts.values()) == {data, SECRET, SECRET[::-1]}
    assert result.kinds == set()
    assert {finding.rule for finding in result.findings} >= {"password"}
    assert WORD not in repr(result.findings)


@pytest.mark.parametrize("name", FORMATS)
def test_without_the_right_word_everything_stays_encrypted(packed: Any, tried: Any, name: str) -> None:
    pytest.importorskip("libarchive")
    data = packed("x.bin", "7zz", "a", "-bd", *FORMATS[name], f"-p{WORD}", "x.bin", "a.txt")
    for result in (
        tried(letter("Password: another", "x.bin", data)),
        tried(letter(LETTERS[0], "x", data), try_passwords=False),
    ):
        assert result.kinds == {"encrypted"}
        assert SECRET not in result.parts.values()


@pytest.mark.parametrize("text", LETTERS)
def test_passwords_are_found_however_they_are_told(packed: Any, tried: Any, text: str) -> None:
    data = packed("x.zip", "7zz", "a", "-bd", f"-p{WORD}", "x.zip", "a.txt")
    assert SECRET in tried(letter(text, "x.zip", data, "html" if "<p>" in text else "plain")).parts.values()
    assert SECRET in tried(letter("see the subject", "x.zip", data, subject=f"the file ({WORD})")).parts.values()


def test_only_the_encrypted_members_need_the_password(packed: Any, tried: Any) -> None:
    data = packed("x.zip", "7zz", "a", "-bd", "x.zip", "a.txt")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["a.txt"]
    packed("x.zip", "7zz", "a", "-bd", f"-p{WORD}", "x.zip", "dir/b.bin")
    both = packed("x.zip", "7zz", "a", "-bd", f"-p{WORD}", "x.zip", "dir/b.bin")
    result = tried(letter(LETTERS[0], "x.zip", both))
    assert result.parts["a.txt"] == SECRET
    assert result.parts["dir%2Fb.bin"] == SECRET[::-1]
    assert result.kinds == set()


def test_a_bomb_behind_a_password_meets_the_limits(packed: Any) -> None:
    files = {"a.bin": bytes(64 * 1024 * 1024)}
    data = packed("x.zip", "7zz", "a", "-bd", f"-p{WORD}", "x.zip", "a.bin", files=files)
    limits = Limits(max_part_bytes=8 * 1024 * 1024)
    result = walked(letter(LETTERS[0], "x.zip", data), ArchivesSettings(try_passwords=True), limits)
    assert result.kinds == {"limit"}


def test_a_password_of_the_message_opens_a_pdf(tried: Any) -> None:
    pikepdf = pytest.importorskip("pikepdf")
    document, target = pikepdf.new(), io.BytesIO()
    document.attachments["a.txt"] = pikepdf.AttachedFileSpec(document, SECRET, filename="a.txt")
    document.add_blank_page()
    document.save(target, encryption=pikepdf.Encryption(owner="someone else", user=WORD))
    raw = letter(LETTERS[0], "x.pdf", target.getvalue())
    assert tried(raw).parts["a.txt"] == SECRET
    assert tried(raw).kinds == set()
    assert tried(raw, try_passwords=False).kinds == {"encrypted"}


def test_a_password_of_the_message_opens_an_office_document(sdist: Any, opened: Any, tried: Any) -> None:
    ooxml = pytest.importorskip("msoffcrypto.format.ooxml")
    sample = next(path for path in encrypted_samples(sdist) if path.suffix == ".xlsx")
    plain = opened(sample.name, sample.read_bytes()).parts
    target = io.BytesIO()
    ooxml.OOXMLFile(io.BytesIO(plain[sample.name])).encrypt(WORD, target)
    raw = letter(LETTERS[0], "x.xlsx", target.getvalue())
    assert tried(raw).parts["x.xlsx"] == plain[sample.name]
    assert tried(raw).kinds == set()
    assert tried(raw, try_passwords=False).kinds == {"encrypted"}
    spun = target.getvalue().replace(b'spinCount="100000"', b'spinCount="900000"')
    assert spun != target.getvalue()
    assert tried(letter(LETTERS[0], "x.xlsx", spun)).kinds == {"encrypted"}


def test_what_office_opens_without_asking_is_opened(sdist: Any, opened: Any) -> None:
    """Excel tries a password of its own first: what is encrypted with it shows like any other document."""
    pytest.importorskip("msoffcrypto")
    samples = [path for path in encrypted_samples(sdist) if "standardpassword" in path.name]
    assert len(samples) >= 7
    for path in samples:
        result = opened(path.name, path.read_bytes())
        assert "password" in result.rules, path.name
        assert result.kinds <= {"ambiguous"}, path.name
        assert result.parts[path.name] or any(part.startswith(path.name + "/") for part in result.parts), path.name


def test_how_often_is_tried_is_bounded() -> None:
    text = " ".join(f"word{number}" for number in range(10_000))
    with Message.from_bytes(HEAD + b"\r\n" + text.encode()) as message:
        assert len(list(tries(message.root))) == MOST_TRIES


def test_what_is_announced_comes_first_and_nothing_twice(packed: Any) -> None:
    raw = HEAD + b"\r\nthe quick brown fox, password: abc123 (abc123)\r\n" + base64.b64encode(b"x" * 30)
    with Message.from_bytes(raw) as message:
        words = list(tries(message.root))
    assert words[:2] == ["abc123", "(abc123)"]
    assert len(words) == len(set(words))


@given(st.text(max_size=200))
def test_any_text_has_words(text: str) -> None:
    assert all(3 <= len(word) <= 64 for word in _words([text, f"password {text}"]))
