"""The examples are run as a reader would run them."""

from __future__ import annotations

import asyncio
import hashlib
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailward import Address, Bounce, Deliver, Drop, Engine, Envelope, Hold, Recipient

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
EICAR = "".join(("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*")).encode()


def mail(filename: str, content: bytes = b"numbers") -> bytes:
    return (
        b"From: alice@example.com\r\nSubject: as agreed\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nsee below\r\n"
        b'--x\r\nContent-Type: application/octet-stream; name="' + filename.encode() + b'"\r\n\r\n'
        b"" + content + b"\r\n--x--\r\n"
    )


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., Engine]:
    def build(toml: str = "") -> Engine:
        config = tmp_path / "mailward.toml"
        config.write_text(f'plugins = ["{EXAMPLES}/house_rules.py"]\n{toml}')
        return Engine.from_config(config)

    return build


def action(engine: Engine, raw: bytes, *, local: bool) -> Any:
    to = Recipient(Address.parse("bob@example.org"), local=local)
    return asyncio.run(engine.judge(Envelope(recipients=(to,)), raw)).copies[0].action


def test_house_rules_hold_payroll_that_leaves_the_house(house: Callable[..., Engine]) -> None:
    assert action(house(), mail("Payroll-May.xls"), local=False) == Hold()
    assert action(house(), mail("Payroll-May.xls"), local=True) == Deliver()
    assert action(house(), mail("menu.pdf"), local=False) == Deliver()


def test_house_rules_do_what_their_section_says(house: Callable[..., Engine]) -> None:
    engine = house(
        '[house_rules]\nnames = ["salaries-20??.*"]\n'
        'action = { action = "bounce", text = "Payroll data stays in the house" }'
    )
    assert action(engine, mail("salaries-2026.csv"), local=False) == Bounce("Payroll data stays in the house")
    assert action(engine, mail("payroll.csv"), local=False) == Deliver()


def test_the_minimal_configuration_makes_an_engine_with_its_policy() -> None:
    engine = Engine.from_config(EXAMPLES / "minimal.toml")
    assert [found.name for found in engine.policies.found] == ["relay", "archives", "content", "antivirus"]
    finance = engine.policies.of(Address.parse("a@b.example"), Address.parse("cfo@finance.example.com"))
    assert finance.name == "finance"


def test_the_minimal_configuration_takes_viruses_out_and_refuses_them_for_finance() -> None:
    engine = Engine.from_config(EXAMPLES / "minimal.toml")
    to = tuple(Recipient(Address.parse(text)) for text in ("a@example.com", "b@finance.example.com"))
    verdict = asyncio.run(engine.judge(Envelope(recipients=to), mail("x.bin", EICAR)))
    assert [(copy.policy, str(copy.action)) for copy in verdict.copies] == [
        ("default", "deliver"),
        ("finance", "reject"),
    ]


def test_embedding_prints_what_would_happen(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(mail("x.bin", EICAR))
    done = subprocess.run(
        [sys.executable, EXAMPLES / "embedding.py", message], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    first, *findings = done.stdout.splitlines()
    assert first == "deliver, 1 edits"
    assert any("infected by antivirus" in line and "part 2" in line for line in findings)


def test_embedding_is_usable_as_a_function(tmp_path: Path) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(mail("menu.pdf"))
    example = SimpleNamespace(**runpy.run_path(str(EXAMPLES / "embedding.py")))
    verdict = asyncio.run(example.judge(message, EXAMPLES / "minimal.toml"))
    assert [str(copy.action) for copy in verdict.copies] == ["deliver"]


def test_the_incident_list_is_an_engine_of_the_house(tmp_path: Path) -> None:
    config, known = tmp_path / "mailward.toml", tmp_path / "incidents.txt"
    config.write_text(f'plugins = ["{EXAMPLES}/incident_list.py"]\n')
    known.write_text(f"{hashlib.sha256(b'bad').hexdigest().upper()} Case 17\n\n")
    engine = Engine.from_config(config)
    assert action(engine, mail("a.bin", b"bad"), local=True) == Drop()
    assert action(engine, mail("a.bin", b"good"), local=True) == Deliver()
    known.write_text(f"{hashlib.sha256(b'good').hexdigest()} Case 18\n")
    asyncio.run(engine.reload())
    copy = asyncio.run(engine.judge(Envelope(), mail("a.bin", b"good"))).copies[0]
    assert [(str(f.kind), f.plugin, f.name, f.part) for f in copy.findings if f.plugin != "core"] == [
        ("infected", "incident_list", "case 18", "2")
    ]
    known.unlink()
    asyncio.run(engine.reload())
    assert action(engine, mail("a.bin", b"good"), local=True) == Drop()
