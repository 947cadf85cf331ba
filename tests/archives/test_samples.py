"""Samples of kept libraries: each is opened, or reported as encrypted, of several volumes, or not opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailward import Kind

from .conftest import mail

REPORTED = {"encrypted", "unopened", "multivolume"}
PLAIN = {".csv", ".slk", ".xml", ""}
"""Samples that are no containers: nothing lies in them."""


def _looked_at(judged: Any, files: list[Path]) -> dict[str, Any]:
    results = judged([mail(path.name, path.read_bytes()) for path in files], settings="emulate = false")
    return {path.name: findings for path, findings in zip(files, results, strict=True)}


def test_every_rar_archive_is_opened_or_reported(sdist: Callable[[str], Path], judged: Any, opened: Any) -> None:
    pytest.importorskip("libarchive")
    files = sorted(path for path in sdist("rarfile==4.5").rglob("test/files/*.[rs]??") if path.is_file())
    assert len(files) >= 51
    for path in files:
        result = opened(path.name, path.read_bytes())
        assert "failure" not in result.rules, path.name
        assert result.rules & REPORTED or len(result.parts) > 1, path.name
        if "psw" in path.name:
            assert result.rules & {"encrypted", "unopened"}, path.name
        if "vols" in path.name or "rar3-old" in path.name:
            assert "multivolume" in result.rules, path.name


def test_every_office_file_is_opened_or_reported(sdist: Callable[[str], Path], opened: Any, judged: Any) -> None:
    root = next(sdist("oletools==0.60.2").rglob("test-data"))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert len(files) >= 100
    for path, findings in zip(files, _looked_at(judged, files).values(), strict=False):
        assert not [finding for finding in findings if finding.rule == "failure"], path.name
    for path in files:
        if path.suffix in PLAIN or path.name == "empty" or path.read_bytes().startswith(b"PK"):
            continue
        result = opened(path.name, path.read_bytes())
        assert result.rules & REPORTED or len(result.parts) > 1, path.name
        if "standardpassword" in path.name:
            assert "password" in result.rules, path.name
        elif path.parent.name == "encrypted":
            assert Kind.ENCRYPTED.value in result.kinds, path.name


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("embedded-simple-2007.doc", "simple-text-file.txt"),
        ("embedded-simple-2007.xls", "simple-text-file.txt"),
        ("embedded-simple-2007.ppt", "simple-text-file.txt"),
        ("embedded-simple-2007.xml", "simple-text-file.txt"),
        ("embedded-simple-2007-as2003.xml", "simple-text-file.txt"),
        ("sample_with_calc_embedded.doc", "calc.exe"),
    ],
)
def test_what_was_dropped_into_a_document_is_found_by_its_name(
    sdist: Callable[[str], Path], opened: Any, name: str, inside: str
) -> None:
    path = next(sdist("oletools==0.60.2").rglob(name))
    names = [part.rpartition("/")[2].lower() for part in opened(name, path.read_bytes()).parts]
    assert inside in names
