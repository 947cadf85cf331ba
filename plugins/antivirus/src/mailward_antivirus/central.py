"""The central quarantine: what was found infected, sent to one place for all gateways (SAV-QTN-02, SMS-AV-05).

One item for each virus: the content of the part, and a record of where it was found. Items wait in a spool
in the plugin's store, never more than ``max_bytes`` of them; an item for which there is no room is not
kept, which is told as an event, and the mail goes its way all the same.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from mailward import Context, Envelope, Finding, Part
from mailward_antivirus.files import write

_STEP_BYTES = 1024 * 1024
LEFT_S = 3600.0
"""What has been half written for longer was left so."""


def spool_folder(context: Context) -> Path:
    """Where items wait, in the store of the plugin."""
    return context.state / "plugins" / context.name / "central"


class SpoolFull(Exception):
    """There is no room for another item."""


@frozen
class Item:
    """One that waits: its name, its record and where the content is."""

    name: str
    record: Path
    content: Path

    def remove(self) -> None:
        """Forget it. Raises OSError."""
        self.record.unlink(missing_ok=True)
        self.content.unlink(missing_ok=True)


@frozen
class Spool:
    """The items that wait in ``folder``."""

    folder: Path
    max_bytes: int

    def add(self, part: Part, finding: Finding, envelope: Envelope, now: float) -> Item:
        """Keep the content of ``part``. Raises SpoolFull, OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.waiting_bytes() + part.size > self.max_bytes:
            raise SpoolFull(f"the spool of the central quarantine holds {self.max_bytes} bytes and is full")
        item = self._item(f"{int(now * 1000):015d}-{secrets.token_hex(6)}")
        write(item.content, part.stream(_STEP_BYTES))
        write(item.record, (_record(part, finding, envelope, now),))  # last: an item is there once it has a record
        return item

    def items(self) -> Sequence[Item]:
        """Those that wait, oldest first. Raises OSError."""
        if not self.folder.is_dir():
            return ()
        return tuple(self._item(path.stem) for path in sorted(self.folder.glob("[0-9]*.json")))

    def sweep(self, now: float) -> None:
        """Remove what is no item and never will be: left by processes that were ended. Raises OSError."""
        if not self.folder.is_dir():
            return
        for path in tuple(self.folder.iterdir()):
            half = path.suffix == ".bin" and not path.with_suffix(".json").exists()
            if half or path.name.startswith(".new-"):
                with suppress(FileNotFoundError):
                    if now - path.stat().st_mtime > LEFT_S:
                        path.unlink()

    def waiting_bytes(self) -> int:
        """How much waits. Raises OSError."""
        return sum(self._sizes()) if self.folder.is_dir() else 0

    def _sizes(self) -> Iterator[int]:
        for path in self.folder.iterdir():
            try:
                yield path.stat().st_size
            except FileNotFoundError:  # it has just been sent
                continue

    def _item(self, name: str) -> Item:
        return Item(name, self.folder / f"{name}.json", self.folder / f"{name}.bin")


def _record(part: Part, finding: Finding, envelope: Envelope, now: float) -> bytes:
    record = {
        "at": now,
        "virus": finding.name,
        "engine": finding.rule,
        "file_name": part.filename,
        "part": part.path,
        "size": part.size,
        "sha256": part.digest("sha256"),
        "message_id": envelope.id,
        "sender": str(envelope.sender.address),
        "recipients": [str(recipient.address) for recipient in envelope.recipients],
    }
    return json.dumps(record, ensure_ascii=True).encode("ascii")
