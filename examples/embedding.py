"""Mailward inside another program: no listener, no queue, only verdicts.

python embedding.py message.eml [configuration.toml]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mailward import Address, Engine, Envelope, Recipient, Sender, Verdict


async def judge(message: Path, config: Path | None = None) -> Verdict:
    """The verdict on one message, as if Alice had sent it to Bob."""
    envelope = Envelope(
        sender=Sender(Address.parse("alice@example.com")),
        recipients=(Recipient(Address.parse("bob@example.org")),),
    )
    async with Engine.from_config(config) as engine:
        return await engine.judge(envelope, message)


def main(arguments: list[str]) -> None:
    """Print what would happen to each copy, and why."""
    verdict = asyncio.run(judge(*map(Path, arguments)))
    for copy in verdict.copies:
        print(f"{copy.action}, {len(copy.splices)} edits")
        for finding in copy.findings:
            print(f"  {finding.kind} by {finding.plugin}: {finding.name} in part {finding.part or '(message)'}")


if __name__ == "__main__":
    main(sys.argv[1:])
