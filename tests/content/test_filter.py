"""The filter by name and type (KAV-SCN-06)."""

from __future__ import annotations

from typing import Any

import pytest

from mailward import ConfigError, Kind

EICAR = "".join(("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*")).encode()
PNG = b"\x89PNG\r\n\x1a\n\0"


def part(name: str, kind: str = "application/octet-stream", body: bytes = b"content") -> bytes:
    return f'Content-Type: {kind}; name="{name}"\r\n\r\n'.encode() + body


def filtered(copy: Any) -> list[str]:
    return [finding.part for finding in copy.findings if finding.kind is Kind.FILTERED]


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ("", []),
        # a list that is not set matches everything, an exception that is not set nothing
        ('filter_names = ["*.mp3"]', ["2"]),
        ('filter_types = ["image/*"]', ["3"]),
        ('filter_names = ["*.mp3", "*.png"]', ["2", "3"]),
        # both a name and a type have to match
        ('filter_names = ["*.mp3"]\nfilter_types = ["image/*"]', []),
        ('filter_names = ["*.png"]\nfilter_types = ["image/*"]', ["3"]),
        # exceptions
        ('filter_names = ["*"]\nfilter_names_except = ["*.png"]\nfilter_types_except = ["text/*"]', ["2"]),
        # an exception alone filters every other part, bodies too
        ('filter_names_except = ["*.png"]', ["1", "2"]),
        ('filter_types_except = ["text/*", "image/*"]', ["2"]),
        # the names of the older product
        ('include_by_name = ["*.mp3"]', ["2"]),
        ('exclude_by_name = ["*.png"]\nexclude_by_mime = ["text/*"]', ["2"]),
        ('include_by_mime = ["image/*"]', ["3"]),
        ('include_by_type = ["image/*"]\nexclude_by_type = ["image/gif"]', ["3"]),
    ],
)
def test_kav_scn_06_what_is_filtered(content: Any, mails: Any, settings: str, paths: list[str]) -> None:
    raw = mails.parts(part("song.mp3"), part("photo.PNG", "image/png", PNG))
    assert filtered(content(raw, settings)) == paths


def test_kav_scn_06_lists_that_are_set_and_empty_are_not_set(content: Any, mails: Any) -> None:
    assert content(mails.attached("a.mp3"), "filter_names = []\nfilter_types = []").clean


def test_kav_scn_06_a_name_is_matched_decoded(content: Any, mails: Any) -> None:
    for headers in (
        "Content-Disposition: attachment; filename*=utf-8''s%6Fng%2Emp3",
        'Content-Type: a/b; name="=?utf-8?Q?song=2Emp3?="',
    ):
        assert filtered(content(mails.parts(headers.encode() + b"\r\n\r\nx"), 'filter_names = ["SONG.MP3"]')) == ["2"]


VIRUS = part("song.mp3", "audio/mpeg", EICAR)
BOTH = 'plugins = ["content", "antivirus"]\n'


@pytest.fixture
def scanned(tmp_path: Any) -> Any:
    """What content and antivirus make of a message together."""
    import asyncio

    from mailward import Engine, Envelope

    def ask(raw: bytes, settings: str, envelope: Any = None, plugins: str = BOTH, more: str = "") -> tuple[Any, ...]:
        path = tmp_path / "mailward.toml"
        path.write_text(f"{plugins}[content]\n{settings}\n{more}")

        async def run() -> tuple[Any, ...]:
            async with Engine.from_config(path) as engine:
                return (await engine.judge(envelope or Envelope(), raw)).copies

        return asyncio.run(run())

    return ask


def kinds(copy: Any) -> set[str]:
    return {str(finding.kind) for finding in copy.findings}


def test_kav_scn_06_what_is_filtered_is_not_scanned(scanned: Any, mails: Any) -> None:
    raw = mails.parts(VIRUS)
    (copy,) = scanned(raw, "")
    assert "infected" in kinds(copy)
    (copy,) = scanned(raw, 'filter_names = ["*.mp3"]')
    assert (copy.action.name, kinds(copy)) == ("deliver", {"filtered"})
    assert not copy.clean


def test_kav_scn_06_remove_and_placeholder_ban_types(scanned: Any, mails: Any, delivered: Any) -> None:
    raw = mails.parts(VIRUS)
    for action in ("delete", "placeholder"):
        (copy,) = scanned(raw, f'filter_types = ["audio/*"]\non_filtered = "{action}"')
        assert copy.action.name == "deliver"
        assert EICAR not in delivered(raw, copy)


def test_in_shadow_mode_everything_is_scanned(scanned: Any, mails: Any) -> None:
    (copy,) = scanned(mails.parts(VIRUS), 'filter_names = ["*.mp3"]\nshadow = true')
    assert "infected" in kinds(copy)


def test_each_policy_has_its_own_filter(scanned: Any, mails: Any) -> None:
    from mailward import Address, Envelope, Recipient

    to = tuple(Recipient(Address.parse(text)) for text in ("a@x.example", "b@music.example", "c@x.example"))
    policy = '[policy.music]\nrecipients = ["*@music.example"]\ncontent.filter_names = ["*.mp3"]'
    first, second = scanned(mails.parts(VIRUS), "", Envelope(recipients=to), more=policy)
    assert ("infected" in kinds(first), "infected" in kinds(second)) == (True, False)
    assert kinds(second) == {"filtered"}


def test_for_what_is_let_through_every_name_and_type_has_to_match(scanned: Any, mails: Any) -> None:
    two_names = b'Content-Type: audio/mpeg; name="song.mp3"\r\n'
    two_names += b'Content-Disposition: attachment; filename="song.exe"\r\n\r\n' + EICAR
    (copy,) = scanned(mails.parts(two_names), 'filter_names = ["*.mp3"]')
    assert "infected" in kinds(copy)
    lies = part("photo.png", "image/png", b"MZ program")
    (copy,) = scanned(mails.parts(lies), 'filter_types = ["image/*"]')
    assert "filtered" not in kinds(copy)


def test_for_what_is_taken_out_one_name_or_type_is_enough(content: Any, mails: Any) -> None:
    two_names = b'Content-Type: audio/mpeg; name="song.mp3"\r\n'
    two_names += b'Content-Disposition: attachment; filename="song.txt"\r\n\r\nx'
    assert filtered(content(mails.parts(two_names), 'filter_names = ["*.mp3"]\non_filtered = "delete"')) == ["2"]
    lies = part("photo.txt", "text/plain", PNG)
    assert filtered(content(mails.parts(lies), 'filter_types = ["image/*"]\non_filtered = "delete"')) == ["2"]


def test_members_of_archives_are_filtered_and_archives_are_opened(content: Any, mails: Any, delivered: Any) -> None:
    raw = mails.attached("a.zip", mails.zipped("song.mp3", "note.txt"))
    assert filtered(content(raw, 'filter_names = ["*.mp3"]')) == ["2/song.mp3"]
    copy = content(raw, 'filter_names = ["*.mp3"]\non_filtered = "delete"')
    assert filtered(copy) == ["2"]
    assert b"a.zip" not in delivered(raw, copy)
    # an archive that is let through unscanned is opened all the same: its members are judged for themselves
    raw = mails.parts(mails.file("", mails.zipped("song.mp3"), 'Content-Type: application/zip; name="a.zip"\r\n'))
    assert filtered(content(raw, 'filter_names = ["*.zip"]')) == ["2"]


def test_a_list_under_two_names_is_refused(content: Any, mails: Any) -> None:
    with pytest.raises(ConfigError, match="is another name of filter_names"):
        content(mails.plain(b""), 'filter_names = ["*.a"]\ninclude_by_name = ["*.b"]')
