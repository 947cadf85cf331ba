"""SMTP replies (RFC 5321 section 4.2, RFC 2034, RFC 3463)."""

from __future__ import annotations

import re

from attrs import field, frozen
from attrs.validators import in_

_LINE = re.compile(r"(\d{3})[ -]?(?:([245]\.\d{1,3}\.\d{1,3}) ?)?(.*)", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]+")


@frozen
class Reply:
    """A reply: basic code, enhanced status code and text of one or several lines.

    The text is for the peer: it never holds exception texts, paths or names of internals.
    """

    code: int = field(validator=in_(range(200, 600)))
    enhanced: str = ""
    text: str = ""

    @classmethod
    def parse(cls, line: str) -> Reply:
        """Read ``550 5.7.1 text``; raises ValueError where no code leads the line."""
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{line!r} is not an SMTP reply: it starts with three digits, as in '550 5.7.1 No'")
        return cls(int(match[1]), match[2] or "", match[3])

    @property
    def refuses(self) -> bool:
        """Whether the code is a refusal for now (4xx) or for good (5xx)."""
        return self.code >= 400

    @property
    def temporary(self) -> bool:
        """Whether the code is 4xx."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        lines = [_UNSAFE.sub(" ", line) for line in self.text.splitlines()] or [""]
        lead = f"{self.enhanced} " if self.enhanced else ""
        rows = [f"{self.code}-{lead}{line}" for line in lines[:-1]]
        return "\r\n".join([*rows, f"{self.code} {lead}{lines[-1]}".rstrip()])


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "OK")
RECIPIENT_OK = Reply(250, "2.1.5", "OK")
LOCAL_ERROR = Reply(451, "4.3.0", "Temporary local problem, try again later")
TIMED_OUT = Reply(451, "4.3.0", "Checking took too long, try again later")
BUSY = Reply(451, "4.3.2", "Too busy at the moment, try again later")
REFUSED = Reply(550, "5.7.1", "Message refused by policy")
