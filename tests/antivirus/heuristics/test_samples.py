"""Real documents: what each level finds, what disarming makes of them, and what harmless ones are taken for."""

from __future__ import annotations

import io
import json
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import olefile
import pytest

from mailward_antivirus.disarm.disarm import can_disarm, disarm
from mailward_antivirus.disarm.outcome import CannotDisarm
from mailward_antivirus.heuristics.assess import Heuristics
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.heuristics.vba import sources

from .conftest import Look

EXPECTED = Path(__file__).parent / "expected.json"
"""For each sample of oletools' source distribution: its score, and its traits, weightiest first."""


@pytest.fixture(scope="module")
def office_samples(sdist: Callable[[str], Path]) -> Path:
    return next(sdist("oletools==0.60.2").glob("oletools-*/tests/test-data"))


def found(folder: Path, look: Look) -> Iterator[tuple[str, float, list[str]]]:
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        assessed = look(path.name, path.read_bytes())
        yield str(path.relative_to(folder)), assessed.score, [trait.rule for trait in assessed.traits]


def test_every_office_sample_is_assessed_as_expected(office_samples: Path, look: Look):
    expected = {name: (score, rules) for name, (score, rules) in json.loads(EXPECTED.read_text()).items()}
    assert {name: (score, rules) for name, score, rules in found(office_samples, look)} == expected


def test_macros_are_read_from_an_ole_file_that_is_open_as_from_its_bytes(office_samples: Path):
    with_macros = 0
    for path in sorted(one for one in office_samples.rglob("*") if one.is_file()):
        data = path.read_bytes()
        if not olefile.isOleFile(io.BytesIO(data)):
            continue
        ole = olefile.OleFileIO(io.BytesIO(data))
        streams = ole.listdir()
        macros = list(sources(path.name, data, ole))
        assert macros == list(sources(path.name, data))
        assert ole.listdir() == streams
        assert all(len(ole.openstream(one).read()) == ole.get_size(one) for one in streams)
        with_macros += bool(macros)
    assert with_macros >= 2


def test_what_is_disarmed_is_suspicious_no_more(office_samples: Path, look: Look):
    cured = refused = 0
    for path in sorted(one for one in office_samples.rglob("*") if one.is_file()):
        part = look.part(path.name, path.read_bytes())
        if not can_disarm(part) or not Heuristics(Level.HIGH).assess(part).suspicious:
            continue
        try:
            disarmed = disarm(part)
        except CannotDisarm:
            refused += 1
            continue
        if look(path.name, disarmed.content).suspicious:
            refused += 1
        else:
            cured += 1
            assert disarmed.removed
    assert cured >= 25
    assert refused <= 8


def test_disarmed_documents_open_in_libreoffice(office_samples: Path, look: Look, tmp_path: Path, require):
    require("soffice")
    chosen = (
        *("oleform/oleform-PR314.docm", "msodde/dde-test.docx", "msodde/dde-test-from-office2016.doc"),
        *("msodde/dde-test.xlsx", "excel4-macros/excel4_sample_macro.xls", "excel4-macros/excel4_sample_macro.xlsm"),
        *("oleobj/sample_with_calc_embedded.doc", "oleobj/external_link/sample_with_external_link_to_doc.docx"),
        *("oleobj/embedded-simple-2007.pptx", "encrypted/autostart-encrypt-standardpassword.xls"),
    )
    for number, name in enumerate(chosen):
        part = look.part(Path(name).name, (office_samples / name).read_bytes())
        (tmp_path / f"{number}{Path(name).suffix}").write_bytes(disarm(part).content)
    files = sorted(tmp_path.iterdir())
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "pdf"]
    subprocess.run([*command, "--outdir", tmp_path / "out", *files], check=True, capture_output=True, timeout=180)
    assert {one.stem for one in (tmp_path / "out").iterdir()} == {str(number) for number in range(len(chosen))}
    shown = subprocess.run(["pdftotext", tmp_path / "out" / "0.pdf", "-"], capture_output=True, check=True).stdout
    assert shown.strip() or (tmp_path / "out" / "0.pdf").stat().st_size > 1000


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory, require: Callable[..., None]) -> list[Path]:
    """Documents that LibreOffice makes, PDF files, archives, programs, scripts and pages as people send them."""
    require("soffice")
    folder = tmp_path_factory.mktemp("harmless")
    text = folder / "letter.txt"
    text.write_text("Dear all,\nthe figures for 2024 are attached.\n" * 20)
    table = folder / "table.csv"
    table.write_text("name,sum\nrent,-1200\nsalary,+3000\ntotal,=SUM(B2:B3)\n")
    profile = f"-env:UserInstallation=file://{folder}/profile"
    for source, kinds in ((text, "docx doc odt pdf html"), (table, "xlsx xls pdf")):
        for kind in kinds.split():
            command = ["soffice", profile, "--headless", "--convert-to", kind, "--outdir", folder / source.stem]
            subprocess.run([*command, source], check=True, capture_output=True, timeout=120)
    made = [path for path in folder.rglob("*.*") if path.is_file() and "profile" not in path.parts]
    library = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("purelib"))
    found = [
        *packages.glob("pip/_vendor/distlib/*.exe"),
        *library.glob("venv/scripts/*/[Aa]ctivate*"),
        *library.glob("test/archivetestdata/*.zip"),
        *library.glob("test/*.zip"),
        *library.glob("ensurepip/_bundled/*.whl"),
        *library.glob("pydoc_data/*.css"),
        *list(packages.glob("**/*.html"))[:40],
        *list(packages.glob("**/*.js"))[:20],
        *list(Path("/usr/share/doc").glob("**/*.html"))[:40],
        *list(Path("/usr/share").glob("**/*.pdf"))[:20],
        *list(Path("/usr/share/icons").glob("**/*.svg"))[:40],
        *list(Path("/usr/bin").glob("*.sh"))[:10],
        *[path for path in Path("/usr/bin").glob("g*") if path.is_file() and path.stat().st_size < 2**20][:20],
    ]
    return [*made, *(path for path in found if path.is_file())]


def test_at_low_nothing_harmless_is_suspicious(harmless: list[Path], look: Look):
    suspicious: dict[Level, list[str]] = {level: [] for level in (Level.LOW, Level.MEDIUM, Level.HIGH)}
    for path in harmless:
        part = look.part(path.name, path.read_bytes())
        for level, names in suspicious.items():
            if Heuristics(level).assess(part).suspicious:
                names.append(path.name)
    assert len(harmless) >= 20
    assert suspicious[Level.LOW] == []
    # What an administrator chooses with the higher levels: programs sent by mail are among it.
    assert len(suspicious[Level.MEDIUM]) <= len(harmless) * 0.1
    assert set(suspicious[Level.MEDIUM]) <= set(suspicious[Level.HIGH])
