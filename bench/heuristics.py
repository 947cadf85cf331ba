"""Time of the heuristics, part by part, over real mail and real documents.

    ./dev exec python bench/heuristics.py FOLDER [FOLDER …]

Each file of the folders is a message (``.txt``, ``.eml``) or is attached to one. Prints median, 99th percentile
and maximum in milliseconds a part, and the parts that took longest.
"""

from __future__ import annotations

import base64
import statistics
import sys
import time
import warnings
from pathlib import Path

from mailward import Message, unpack_zip
from mailward_antivirus.heuristics.assess import Heuristics
from mailward_antivirus.heuristics.level import Level


def message_of(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix in (".txt", ".eml"):
        return content
    head = f'Content-Type: application/octet-stream; name="{path.name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head.encode("ascii", "replace") + base64.encodebytes(content)


def main() -> None:
    warnings.simplefilter("ignore")
    heuristics = Heuristics(Level.HIGH)
    spent: list[tuple[float, str]] = []
    for folder in map(Path, sys.argv[1:]):
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            with Message.from_bytes(message_of(path)) as message:
                for part in message.walk():
                    message.add_members(part, unpack_zip(part) or ())
                for part in message.walk():
                    started = time.perf_counter()
                    heuristics.assess(part)
                    spent.append(((time.perf_counter() - started) * 1000, f"{path.name} {part.path}"))
    times = sorted(ms for ms, _ in spent)
    print(f"{len(times)} parts: median {statistics.median(times):.3f} ms, ", end="")
    print(f"99 % {times[int(len(times) * 0.99)]:.1f} ms, most {times[-1]:.1f} ms")
    for ms, name in sorted(spent)[-5:]:
        print(f"  {ms:8.1f} ms  {name}")


if __name__ == "__main__":
    main()
