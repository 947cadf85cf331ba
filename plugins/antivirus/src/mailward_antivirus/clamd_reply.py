"""What clamd answers to INSTREAM, read as a report. Pure: bytes in, `Report` out.

    stream: OK                                       stream: NAME FOUND
    stream: TEXT ERROR                               INSTREAM size limit exceeded. ERROR

Only the exact ``OK`` is clear; whatever is not understood is no answer.
"""

from __future__ import annotations

import re

from mailward_antivirus.report import CLEAR, Fault, Report, ScanStatus, unchecked

_FOUND = re.compile(r"stream: ([!-~](?:[ -~]*[!-~])?) FOUND")
_ERROR = re.compile(r"([ -~]+) ERROR")
_EXTENDED = re.compile(r"\([0-9a-fA-F]{32,64}:\d+\)$")
_TOO_LARGE = "size limit exceeded"
_OWN_TROUBLE = "Can't "
"""How libclamav begins its texts for out of memory, no temporary file, disk full: trouble of the scanner's own."""

_LIMITS = "Heuristics.Limits.Exceeded"
_ENCRYPTED = "Heuristics.Encrypted"
_WITHOUT_SIGNATURE = ("Heuristics.", "PUA.")


def parse(reply: bytes) -> Report:
    """The report that ``reply`` (without its final NUL) is."""
    text = reply.decode("latin-1")
    if text == "stream: OK":
        return CLEAR
    if found := _FOUND.fullmatch(text):
        return _named(_EXTENDED.sub("", found[1]) or found[1])
    if error := _ERROR.fullmatch(text):
        return _error(error[1])
    return unchecked(Fault.SCANNER, f"answer of clamd not understood: {text[:80]!r}")


def _named(name: str) -> Report:
    if name.startswith(_LIMITS):
        return unchecked(Fault.LIMIT, "over a limit of the scanner", name)
    if name.startswith(_ENCRYPTED):
        return Report(ScanStatus.PROTECTED, name, "encrypted, so not scanned")
    if name.startswith(_WITHOUT_SIGNATURE):
        return Report(ScanStatus.SUSPICIOUS, name, "suspicious without a signature")
    return Report(ScanStatus.INFECTED, name)


def _error(text: str) -> Report:
    if _TOO_LARGE in text:
        return unchecked(Fault.LIMIT, "too large for the scanner")
    fault = Fault.SCANNER if _OWN_TROUBLE in text else Fault.CONTENT
    return unchecked(fault, f"clamd: {text.removeprefix('stream: ')[:200]}")
