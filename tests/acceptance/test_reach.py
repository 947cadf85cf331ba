"""One program in the 44 wrappings of Debian's clamav-testfiles, sent by SMTP through the real program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness.gateway import Gateway
from harness.hop import Hop
from harness.mails import attachment, parts
from harness.servers import open_clamd

Start = Callable[..., Gateway]
SIGNATURE = "aa15bcf478d165efd2065190eb473bcb:544:Test.Program\n"
REFUSED = 550


def sent(up: Gateway, wrapped: list[Path]) -> dict[str, int]:
    return {path.name: up.send(parts(attachment(path.read_bytes(), path.name))).code for path in wrapped}


def test_one_hash_signature_and_our_own_unpacking_refuse_40_of_44(
    gateway: Start, hop: Hop, wrapped: list[Path]
) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("autoit_ripper")
    up = gateway(
        hop,
        plugins=["relay", "archives", "antivirus"],
        archives={"emulate": True},
        limits={"max_depth": 24},
        antivirus={"signatures": ["own.hdb"], "heuristics": "off", "on_infected": ["reject"]},
        files={"own.hdb": SIGNATURE},
    )
    codes = sent(up, wrapped)
    assert list(codes.values()).count(REFUSED) >= 40
    assert {name for name, code in codes.items() if code != REFUSED} <= {"clam-pespin.exe", "clam-yc.exe"}


def test_with_clamd_every_one_is_refused(
    gateway: Start, hop: Hop, wrapped: list[Path], require: Callable[..., None]
) -> None:
    require("clamd")
    with open_clamd(SIGNATURE) as clamd:
        up = gateway(
            hop,
            plugins=["relay", "archives", "antivirus"],
            antivirus={"clamd": [f"unix:{clamd.socket}"], "heuristics": "off", "on_infected": ["reject"]},
        )
        codes = sent(up, wrapped)
    assert [name for name, code in codes.items() if code != REFUSED] == []
