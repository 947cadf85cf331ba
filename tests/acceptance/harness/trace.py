"""The trace header that the gateway puts on top of each message."""

from __future__ import annotations

import re

TRACE = re.compile(
    rb"Received: from [\w.:\[\]?-]+ \((?:[\w.-]+ )?\[[\w.:]+\]\)\r\n"
    rb"\tby [\w.-]+ \(Mailward\) with (?:SMTP|[EL]S?MTPS?A?) id (\w+)"
    rb"(?:\r\n\tfor <[^\r\n>]+>)?(?:\r\n\ttls [\w-]+)?;\r\n"
    rb"\t\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}\r\n"
)


def untraced(content: bytes) -> bytes:
    """The content without its first header field, which must be our trace header and the only one of ours."""
    found = TRACE.match(content)
    assert found is not None, content[:500]
    rest = content[found.end() :]
    assert TRACE.match(rest) is None, content[:500]
    return rest
