"""Why a scan had no verdict, and the number by which logs and scan servers name it (IMA-LOG-03)."""

from __future__ import annotations

CONNECT = "connect"
BUSY = "busy"
FILE = "file"
DIED = "died"
DEADLINE = "deadline"
ERROR = "error"
PROTOCOL = "protocol"
ANSWER = "answer"
MEMORY = "memory"
ACCESS = "access"

CODES: dict[str, int] = {
    CONNECT: 1,  # cannot connect: to a scan server, or its key is not ours
    BUSY: 1,  # no scan process and no server takes more
    FILE: 2,  # the file to scan cannot be read
    DIED: 3,  # scan aborted abnormally: the process ended
    DEADLINE: 3,  # the same: it was ended, or gave up, because its time was over
    ERROR: 3,  # the same: a fault of our own
    PROTOCOL: 4,  # invalid parameter: a request or an answer that makes no sense
    ANSWER: 5,  # failure receiving the answer, repaired content and all
    MEMORY: 6,  # out of memory
    ACCESS: 7,  # the server cannot open the file by name: permissions, or outside its folder
}
"""Each reason of a `ScanError`, and its code."""


def code(reason: str) -> int:
    """The code of a reason; 3 (aborted abnormally) for one that is not known."""
    return CODES.get(reason, 3)
