"""What the core found and gave no action: encrypted, over a limit, unprocessable, malformed.

The core has one action for each of these in ``[disposition]``; here a policy says more exactly which, with
texts (SAV-BLK-06, SMS-CONT-05, SMS-CONT-04, SAV-AV-08, SMS-SCAN-02).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from mailward import Action, Finding, Kind, Message, Part, PartKind, Template
from mailward_content.attachment import attachment_of
from mailward_content.rule import Hit

ENCRYPTED_TEXT = (
    "{{ filename or 'A part of this message' }} was removed by {{ hostname }}: it is encrypted and cannot be checked.\n"
)
UNPROCESSABLE_TEXT = (
    "{{ filename or 'A part of this message' }} was removed by {{ hostname }}: it cannot be checked ({{ reason }}).\n"
)

CORE = "core"


@frozen
class Unopened:
    """The actions with their texts; what has none stays with ``[disposition]``."""

    encrypted: Action | None
    encrypted_mail: Action | None
    encrypted_text: Template
    unprocessable: Action | None
    malformed: Action | None
    unprocessable_text: Template
    limit: Action | None
    limits: Mapping[str, Action]
    limit_text: Template

    @property
    def is_set(self) -> bool:
        """Whether any action is set."""
        actions = (self.encrypted, self.encrypted_mail, self.unprocessable, self.malformed, self.limit)
        return bool(self.limits) or any(action is not None for action in actions)

    def look(self, message: Message, findings: tuple[Finding, ...]) -> Iterator[tuple[Finding, Hit]]:
        """Each finding that an action is set for, with what is to be done. What is inside an archive takes the
        whole attachment: it cannot be written again without the member."""
        for finding in findings:
            if finding.action is not None or finding.shadow or finding.kind not in _KINDS:
                continue
            part = _part(message, finding.part)
            action, text = self._choose(finding, part)
            if action is not None:
                path = attachment_of(part).path if part is not None else ""
                hit = Hit(finding.rule, path, finding.name, finding.detail or finding.rule, action, text)
                yield finding, hit

    def _choose(self, finding: Finding, part: Part | None) -> tuple[Action | None, Template]:
        match finding.kind:
            case Kind.ENCRYPTED if _is_mail(finding, part):
                return self.encrypted_mail, self.encrypted_text
            case Kind.ENCRYPTED:
                return self.encrypted, self.encrypted_text
            case Kind.LIMIT:
                return self.limits.get(finding.name, self.limit), self.limit_text
            case Kind.MALFORMED:
                return self.malformed, self.unprocessable_text
            case _:
                return self.unprocessable, self.unprocessable_text


_KINDS = frozenset((Kind.ENCRYPTED, Kind.LIMIT, Kind.MALFORMED, Kind.UNCHECKED))


def _part(message: Message, path: str) -> Part | None:
    if not path:
        return None
    try:
        return message.part(path)
    except KeyError:  # a plugin may name what is no part
        return None


def _is_mail(finding: Finding, part: Part | None) -> bool:
    """Whether it is the mail that is encrypted (S/MIME, OpenPGP), rather than a container in it."""
    return finding.plugin == CORE and part is not None and part.kind is not PartKind.MEMBER
