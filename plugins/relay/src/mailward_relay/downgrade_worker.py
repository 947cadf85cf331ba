"""The process that opens a message to convert it: ``python -m mailward_relay.downgrade_worker``.

Content is opened outside the gateway's process. The message comes on standard input; on standard output
goes a line of JSON, ``{"breaks": [...]}`` or ``{"reason": "..."}``, and after the first of these the message.
"""

from __future__ import annotations

import json
import resource
import sys

from mailward import Limits, MailwardError, Message
from mailward_relay.downgrade import Unconvertible, downgrade

CPU_S = 60
MEMORY_BYTES = 4 << 30


def main() -> None:
    """Convert one message, within limits."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    raw = sys.stdin.buffer.read()
    out = sys.stdout.buffer
    try:
        with Message.from_bytes(raw, Limits()) as message:
            made = downgrade(message)
    except (Unconvertible, MailwardError, RecursionError) as error:
        out.write(json.dumps({"reason": str(error)}).encode() + b"\n")
        return
    out.write(json.dumps({"breaks": made.breaks}).encode() + b"\n")
    out.write(made.apply(raw))


if __name__ == "__main__":
    main()
