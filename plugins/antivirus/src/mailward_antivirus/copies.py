"""Copies of messages as they came, with a record of what was found, by status (KAV-QB).

    ID-RECIPIENTS.eml     the message, byte for byte
    ID-RECIPIENTS.json    envelope, statuses, findings; written first, so that every .eml has its record

Infected messages go to the quarantine, all others to the backup, those that are both to both (KAV-QB-01).
Where a copy cannot be stored the message is deferred: its sender keeps it (KAV-QB-02).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from attrs import frozen

from mailward import Context, Envelope, Finding, Message
from mailward_antivirus.files import write
from mailward_antivirus.rules import Named
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.statuses import named

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_DETAIL = 300


@frozen
class Copies:
    """The folders of copies, and which statuses go there."""

    listed: Collection[Named]
    quarantine: Path
    backup: Path

    @classmethod
    def of(cls, settings: AntivirusSettings, context: Context) -> Copies:
        """What the settings say; folders that they do not name are in the plugin's store."""
        return cls(
            settings.keep_copies,
            _folder(settings.quarantine_path, "quarantine", context),
            _folder(settings.backup_path, "backup", context),
        )

    def keep(
        self, message: Message, envelope: Envelope, found: Collection[Named], findings: Sequence[Finding], now: float
    ) -> tuple[Path, ...]:
        """Store what the settings ask for; the paths of the copies. Raises OSError."""
        wanted = named(self.listed, found)
        folders = [self.quarantine] * (Named.INFECTED in wanted) + [self.backup] * any(
            status is not Named.INFECTED for status in wanted
        )
        stored = []
        for folder in dict.fromkeys(folders):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = _name(envelope)
            write(folder / f"{name}.json", (_record(message, envelope, found, findings, now),))
            write(folder / f"{name}.eml", (message.raw,))
            stored.append(folder / f"{name}.eml")
        return tuple(stored)


def _folder(path: Path, name: str, context: Context) -> Path:
    if path != Path():
        return context.resolve_path(path)
    return context.state / "plugins" / context.name / name


def _name(envelope: Envelope) -> str:
    """A name that nobody outside has a say in: the message's id, and a digest of who this copy is for."""
    recipients = " ".join(str(recipient.address) for recipient in envelope.recipients)
    digest = hashlib.sha256(recipients.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{_UNSAFE.sub('_', envelope.id)[:80] or 'message'}-{digest}"


def _record(
    message: Message, envelope: Envelope, found: Collection[Named], findings: Sequence[Finding], now: float
) -> bytes:
    session = envelope.session
    record = {
        "id": envelope.id,
        "at": now,
        "client": session.client_ip if session is not None else "",
        "helo": session.helo if session is not None else "",
        "sender": str(envelope.sender.address),
        "recipients": [str(recipient.address) for recipient in envelope.recipients],
        "size": message.size,
        "sha256": hashlib.sha256(message.raw).hexdigest(),
        "statuses": [str(status) for status in Named if status in found],
        "findings": [
            {
                "kind": str(one.kind),
                "plugin": one.plugin,
                "rule": one.rule,
                "part": one.part,
                "name": one.name,
                "detail": one.detail[:_DETAIL],
            }
            for one in findings
        ],
    }
    return json.dumps(record, ensure_ascii=True, indent=1).encode("ascii") + b"\n"
