"""What clamd answers to INSTREAM, read as a report. Pure: bytes in, `Report` out.

    stream: OK                                       stream: NAME FOUND
    stream: TEXT ERROR                               INSTREAM size limit exceeded. ERROR

Only the exact ``OK`` is clear; whatever is not understood is no answer.
"""

from __future__ import annotations

import re

from mailward_antivirus.names import named
from mailward_antivirus.report import CLEAR, Fault, Report, unchecked

_FOUND = re.compile(r"stream: ([!-~](?:[ -~]*[!-~])?) FOUND")
_ERROR = re.compile(r"([ -~]+) ERROR")
_EXTENDED = re.compile(r"\([0-9a-fA-F]{32,64}:\d+\)$")
_TOO_LARGE = "size limit exceeded"
_OWN_TROUBLE = "Can't "
"""How libclamav begins its texts for out of memory, no temporary file, disk full: trouble of the scanner's own."""


def parse(reply: bytes) -> Report:
    """The report that ``reply`` (without its final NUL) is."""
    text = reply.decode("latin-1")
    if text == "stream: OK":
        return CLEAR
    if found := _FOUND.fullmatch(text):
        return named(_EXTENDED.sub("", found[1]) or found[1])
    if error := _ERROR.fullmatch(text):
        return _error(error[1])
    return unchecked(Fault.SCANNER, f"answer of clamd not understood: {text[:80]!r}")


def _error(text: str) -> Report:
    if _TOO_LARGE in text:
        return unchecked(Fault.LIMIT, "too large for the scanner")
    fault = Fault.SCANNER if _OWN_TROUBLE in text else Fault.CONTENT
    return unchecked(fault, f"clamd: {text.removeprefix('stream: ')[:200]}")
