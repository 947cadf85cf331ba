"""Command-line scanners: exit codes, names, time-outs, and that nothing of the mail gets near the command."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mailward import Context, Kind, Message, Part
from mailward_antivirus import Fault, Report, ScanStatus
from mailward_antivirus.command import Command, virus_in
from mailward_antivirus.command_settings import CommandSettings
from mailward_antivirus.work_folder import WorkFolders

CODES = {"0": ScanStatus.CLEAR, "1": ScanStatus.INFECTED, "3": ScanStatus.PROTECTED, "4": ScanStatus.ERROR}


def leaf(content: bytes) -> Part:
    (part,) = Message.from_bytes(b"Content-Transfer-Encoding: binary\r\n\r\n" + content).walk()
    return part


@pytest.fixture
def scanner(tmp_path: Path) -> Any:
    """A scanner that is this Python program; ``content`` is what it is given, ``path`` the file's path."""

    def build(program: str, **more: Any) -> Command:
        script = tmp_path / "scanner.py"
        script.write_text(f"import os, sys\npath = sys.argv[1]\ncontent = open(path, 'rb').read()\n{program}\n")
        settings = CommandSettings(
            name="own", command=(sys.executable, "-I", str(script), "{file}"), **{"exit_codes": CODES, **more}
        )
        return Command(settings, Context(name="antivirus", state=tmp_path / "state"))

    return build


def scanned(command: Command, content: bytes = b"harmless") -> Report:
    return asyncio.run(command.scan(leaf(content)))


def test_exit_codes_are_statuses(scanner: Any) -> None:
    command = scanner("sys.exit(int(content))")
    assert scanned(command, b"0") == Report()
    assert scanned(command, b"1").status is ScanStatus.INFECTED
    assert scanned(command, b"3").status is ScanStatus.PROTECTED
    for code in (b"4", b"7", b"255"):
        report = scanned(command, code)
        assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.CONTENT)
        assert f"exit code {code.decode()}" in report.detail


def test_the_virus_is_named_by_the_line_of_its_form(scanner: Any) -> None:
    program = "print('scanning', path); print(f'{path}: Win.Test-1 FOUND'); sys.exit(1)"
    assert scanned(scanner(program, virus="{file}: {virus} FOUND")).name == "Win.Test-1"
    assert scanned(scanner(program, virus="*: {virus} FOUND")).name == "Win.Test-1"
    assert scanned(scanner(program, virus="other: {virus}")).name == ""
    assert scanned(scanner("print('x: Heuristics.Encrypted.Zip'); sys.exit(1)", virus="x: {virus}")).status is (
        ScanStatus.PROTECTED
    )


def test_a_scanner_that_hangs_is_ended_with_its_children_and_the_part_is_unchecked(
    scanner: Any, tmp_path: Path
) -> None:
    program = (
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\nimport time; time.sleep(600)"
    )
    report = scanned(scanner(program, timeout_s=3.0))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.CONTENT)
    assert "no answer within 3 s" in report.detail
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_scanner_that_crashes_has_not_checked(scanner: Any) -> None:
    report = scanned(scanner("os.kill(os.getpid(), 9)"))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.CONTENT)
    assert "signal 9" in report.detail


def test_a_scanner_that_is_not_there_is_not_well(tmp_path: Path) -> None:
    settings = CommandSettings(name="own", command=("/none/scanner", "{file}"), exit_codes=CODES)
    report = scanned(Command(settings, Context(name="antivirus", state=tmp_path)))
    assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.SCANNER)


def test_output_without_end_is_read_and_not_kept(scanner: Any) -> None:
    program = "print('x' * 100); [sys.stdout.write('y' * 65536) for _ in range(300)]; sys.exit(1)"
    assert scanned(scanner(program, virus="{virus} x")).status is ScanStatus.INFECTED


def test_the_file_is_private_has_a_random_name_and_is_gone_afterwards(scanner: Any, tmp_path: Path, mails: Any) -> None:
    log = tmp_path / "log"
    program = f"open({str(log)!r}, 'a').write(f'{{path}} {{os.stat(path).st_mode}} {{os.environ}}\\n'); sys.exit(0)"
    command = scanner(program)
    message = Message.from_bytes(mails.attached(b"content", "a; touch pwned $(id) ../../x.exe"))
    for part in message.walk():
        asyncio.run(command.scan(part))
    for line in log.read_text().splitlines():
        path, mode, environment = line.split(" ", 2)
        assert "pwned" not in path
        assert stat.S_IMODE(int(mode)) == 0o600
        assert not Path(path).exists()
        assert "PYTEST" not in environment
    work = tmp_path / "state/plugins/antivirus/work"
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    assert list(work.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(scanner: Any, tmp_path: Path) -> None:
    work = WorkFolders(tmp_path / "state/plugins/antivirus/work")
    command = scanner("sys.exit(0)")
    assert scanned(command) == Report()
    with work.one() as used:
        for folder in (used, work.root / "left", work.root / "young"):
            folder.mkdir(exist_ok=True)
            (folder / "content").write_bytes(b"x")
            if folder.name != "young":
                os.utime(folder, (1, 1))
        assert scanned(scanner("sys.exit(0)")) == Report()
        assert {folder.name for folder in work.root.iterdir()} == {used.name, "young"}
    assert {folder.name for folder in work.root.iterdir()} == {"young"}


def test_a_child_that_leaves_the_session_and_holds_the_output_keeps_nobody_waiting(
    scanner: Any, tmp_path: Path
) -> None:
    program = (
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\nchild.wait()"
    )

    async def run() -> Report:
        async with asyncio.timeout(60):
            return await scanner(program, timeout_s=3.0).scan(leaf(b"x"))

    try:
        report = asyncio.run(run())
        assert (report.status, report.fault) == (ScanStatus.ERROR, Fault.CONTENT)
        assert "no answer within 3 s" in report.detail
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def is_gone(pid: int) -> bool:
    """Whether a process ends within two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


async def closed(command: Command) -> None:
    """Close it, and wait until its version command has been ended."""
    asking = command._definitions._asking
    command.close()
    if asking is not None:
        await asyncio.wait((asking,))


async def known(command: Command) -> str:
    """The version, once the command has answered."""
    async with asyncio.timeout(120):
        while not (found := await command.version()):
            await asyncio.sleep(0.05)
    return found


def test_the_version_command_says_what_answers_are_kept_for(scanner: Any) -> None:
    async def versions(command: Command) -> tuple[str, str]:
        return await known(command), await command.version()

    first, second = asyncio.run(versions(scanner("", version=(sys.executable, "-c", "print('one')"))))
    other = asyncio.run(known(scanner("", version=(sys.executable, "-c", "print('two')"))))
    assert first == second != other
    assert asyncio.run(scanner("").version()) == ""


@pytest.mark.parametrize("version", [(sys.executable, "-c", "exit(1)"), (sys.executable, "-c", ""), ("/none",)])
def test_a_version_command_that_fails_says_nothing_and_is_not_run_for_each_scan(
    scanner: Any, version: tuple[str, ...]
) -> None:
    async def asked(command: Command) -> None:
        assert await command.version() == ""
        versions = command._definitions
        asking = versions._asking
        if asking is not None:
            await asking
        assert await command.version() == ""
        assert versions._asking is asking

    asyncio.run(asked(scanner("", version=version)))


def test_a_version_command_that_hangs_holds_up_no_scan_and_leaves_the_version_unknown(
    scanner: Any, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    hanging = f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)"

    async def asked() -> tuple[set[str], float]:
        command = scanner("", version=(sys.executable, "-c", hanging), timeout_s=600.0)
        started = time.monotonic()
        found = {await command.version() for _ in range(50)}
        took_s = time.monotonic() - started
        async with asyncio.timeout(120):
            while not pids.exists() or not pids.read_text():
                await asyncio.sleep(0.05)
        assert await command.version() == ""
        await closed(command)
        return found, took_s

    found, took_s = asyncio.run(asked())
    assert found == {""}
    assert took_s < 60
    (pid,) = pids.read_text().split()
    assert is_gone(int(pid))


def test_a_version_that_hangs_is_ended_and_asked_for_again_later(scanner: Any) -> None:
    async def asked(command: Command) -> None:
        versions = command._definitions
        assert await command.version() == ""
        asking = versions._asking
        assert asking is not None
        await asking
        assert await command.version() == ""
        assert versions._asking is asking, "not at once"
        versions._asked_at = float("-inf")
        assert await command.version() == ""
        assert versions._asking is not asking
        await closed(command)

    asyncio.run(asked(scanner("", version=(sys.executable, "-c", "import time; time.sleep(600)"), timeout_s=0.1)))


def test_a_version_that_is_not_fresh_any_more_is_unknown_until_it_is_said_again(scanner: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    program = f"import os, time\nwhile os.path.exists({str(gate)!r}): time.sleep(0.05)\nprint('one')"

    async def asked(command: Command) -> None:
        first = await known(command)
        gate.touch()
        command._definitions._asked_at = float("-inf")
        assert await command.version() == ""
        gate.unlink()
        assert await known(command) == first

    asyncio.run(asked(scanner("", version=(sys.executable, "-c", program))))


def test_a_version_command_is_started_anew_in_another_event_loop(scanner: Any) -> None:
    command = scanner("", version=(sys.executable, "-c", "import time; time.sleep(600)"), timeout_s=600.0)
    assert [asyncio.run(command.version()) for _ in range(2)] == ["", ""]
    command.close()


def test_through_the_whole_engine(mails: Any, judge: Any, tmp_path: Path) -> None:
    script = tmp_path / "scan.sh"
    script.write_text('#!/bin/sh\ngrep -q virus "$1" && { echo "found Own.Virus"; exit 1; }\nexit 0\n')
    script.chmod(0o755)
    settings = f"""
[[antivirus.commands]]
name = "grep"
command = ["{script}", "{{file}}"]
exit_codes = {{ 0 = "clear", 1 = "infected" }}
virus = "found {{virus}}"
"""
    copy = judge(mails.attached(b"a virus in it"), settings)
    found = [(f.kind, f.rule, f.name, f.part) for f in copy.findings if f.plugin == "antivirus"]
    assert found == [(Kind.INFECTED, "grep", "Own.Virus", "2")]
    assert judge(mails.attached(b"harmless"), settings).clean


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Own"}, "cannot be used"),
        ({"name": "clamd"}, "cannot be used"),
        ({"command": ("scan", "{file}")}, "the path of a program"),
        ({"command": ("/bin/scan",)}, "no argument with {file}"),
        ({"exit_codes": {"x": ScanStatus.CLEAR}}, "exit code 'x' is none"),
        ({"exit_codes": {"256": ScanStatus.CLEAR}}, "exit code '256' is none"),
        ({"exit_codes": {"0": ScanStatus.CLEAR}}, "what means infected"),
        ({"exit_codes": {**CODES, "5": ScanStatus.FILTERED}}, "filtered cannot be told"),
        ({"virus": "FOUND"}, "has to hold {virus} once"),
        ({"virus": "{virus} {virus}"}, "has to hold {virus} once"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    good = {"name": "own", "command": ("/bin/scan", "{file}"), "exit_codes": CODES}
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        CommandSettings(**{**good, **changes})


def test_two_scanners_of_one_name_are_refused(judge: Any, mails: Any) -> None:
    one = '\n[[antivirus.commands]]\nname = "a"\ncommand = ["/bin/true", "{file}"]\n'
    one += 'exit_codes = { 0 = "clear", 1 = "infected" }\n'
    with pytest.raises(Exception, match="the name of two scanners"):
        judge(mails.plain(b"x"), one + one)


def test_hostile_output_takes_no_time(scanner: Any) -> None:
    command = scanner("print(': a' * 20_000); sys.exit(1)", virus="*: *: *: *: *: {virus} FOUND")
    assert scanned(command).name == ""


@pytest.mark.parametrize(
    ("form", "line", "name"),
    [
        ("{virus}", "Test", "Test"),
        ("found {virus}", "found Test A", "Test A"),
        ("found {virus}", "not found Test", ""),
        ("*: {virus} FOUND", "/tmp/x: Test FOUND", "Test"),
        ("*: {virus} FOUND", "/tmp/x: Test FOUND again", ""),
        ("*: {virus} FOUND", "/tmp/x: Test FOUND FOUND", "Test FOUND"),
        ("*{virus}!", "!", ""),
        ("a{virus}a", "a", ""),
        ("[*] {virus} (*)", "[1] Test (x)", "Test"),
    ],
)
def test_the_form_of_a_line(form: str, line: str, name: str) -> None:
    assert virus_in(form, line) == name
