"""Mails out of files, and scripts that go over many of them, several at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

HERE = Path(__file__).parent
_BARE = re.compile(rb"(?<!\r)\n")


@frozen
class Mail:
    """One message, with a name that says which."""

    name: str
    raw: bytes
    is_crlf: bool = False

    def with_crlf(self) -> Mail:
        """The same as it goes over the wire."""
        return Mail(f"{self.name} as CRLF", _BARE.sub(b"\r\n", self.raw), True)


def read(path: Path) -> Mail:
    """The message in a file, without the line that mbox files put before it."""
    raw = path.read_bytes()
    return Mail(f"{path.parent.name}/{path.name}", raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw)


def serve(check: Callable[[Mail], Iterable[Any]]) -> None:
    """The script side: one line of JSON for each thing that ``check`` says about a file, as LF and as CRLF."""
    files = sys.argv[1:] or sys.stdin.read().split("\n")
    for file in filter(None, files):
        mail = read(Path(file))
        for one in (mail, mail.with_crlf()):
            try:
                for found in check(one):
                    print(json.dumps([one.name, found]), flush=True)
            except Exception:
                print(json.dumps([one.name, traceback.format_exc(limit=-3)]), flush=True)
    print(json.dumps(["done", ""]), flush=True)


def share(script: str, files: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """Run a script of this folder over the files, one process a core; yields what it says: (name, what)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    running = []
    for number in range(min(count, 8)):
        child = subprocess.Popen(
            [sys.executable, "-W", "error", str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append((child, "\n".join(map(str, files[number::count]))))
    yield from _answers(running)


def _answers(running: list[tuple[subprocess.Popen[str], str]]) -> Iterator[tuple[str, Any]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(running)) as threads:
        for out, err in threads.map(lambda pair: pair[0].communicate(pair[1]), running):
            lines = [json.loads(line) for line in out.splitlines()]
            if err or not lines or lines[-1][0] != "done":
                yield "the script itself", err[-2000:] or "ended before it was done"
            yield from (tuple(line) for line in lines[:-1])
