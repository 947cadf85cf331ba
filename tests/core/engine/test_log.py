"""Log lines as text: what strangers wrote stays on its line and does nothing to a terminal."""

from __future__ import annotations

import pytest
import structlog

from mailward.engine.core_settings import LogSettings
from mailward.engine.log import configure


@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\x85", "\u2028", "\u202e", "\n", "\r", "\0"])
def test_characters_that_steer_a_terminal_are_written_as_escapes(capfd: pytest.CaptureFixture[str], char: str) -> None:
    configure(LogSettings())
    structlog.get_logger().info("bounced", to=f"a{char}31mb@example", recipients=[f"c{char}d"])
    line = capfd.readouterr().err
    assert char not in line.removesuffix("\n")
    assert repr(char)[1:-1] in line
    assert len(line.splitlines()) == 1


def test_letters_of_all_scripts_are_written_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings())
    structlog.get_logger().info("bounced", to="jörg@例え.example")
    assert "jörg@例え.example" in capfd.readouterr().err


def test_the_lines_of_a_traceback_stay_lines(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings())
    try:
        raise ValueError("x")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "Traceback" in (text := capfd.readouterr().err)
    assert len(text.splitlines()) > 3
