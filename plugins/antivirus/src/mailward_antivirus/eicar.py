"""The EICAR test file and its variants with a prefix (KAV-TST-02).

The test file, by its standard, is a file that *starts* with the 68 characters and holds nothing
after them but white space (space, tab, CR, LF, Ctrl-Z), 128 characters in all. In mail it rarely
stands that bare, because a body gets line ends and a byte order mark, so white space and UTF-8
byte order marks before it are passed over, up to `MAX_LEAD` bytes. Text *about* EICAR that quotes
the characters further in is no hit.
"""

from __future__ import annotations

from mailward_antivirus.report import CLEAR, Fault, Report, ScanStatus, unchecked

# In pieces, so that neither this file nor its compiled form is itself a hit.
_PIECES = (b"X5O!P%@AP[4", b"\\PZX54(P^)7CC)7}", b"$EICAR-STANDARD-", b"ANTIVIRUS-TEST-", b"FILE!$H+H*")

NAME = "EICAR-Test-File"
LENGTH = 68
MAX_LENGTH = 128
MAX_LEAD = 64
PREFIX_LENGTH = 5
MAX_SIZE = MAX_LEAD + PREFIX_LENGTH + MAX_LENGTH

_WHITE = b" \t\r\n\x1a"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_PREFIXES: dict[bytes, Report] = {
    b"CORR-": unchecked(Fault.CONTENT, "corrupted (test file CORR-)", NAME),
    b"ERRO-": unchecked(Fault.CONTENT, "scan error (test file ERRO-)", NAME),
    b"SUSP-": Report(ScanStatus.SUSPICIOUS, NAME, "may be an unknown virus (test file SUSP-)"),
    b"WARN-": Report(ScanStatus.SUSPICIOUS, NAME, "may be a modified virus (test file WARN-)"),
    b"CURE-": Report(ScanStatus.DISINFECTED, NAME, "repaired (test file CURE-)", repaired=b"CURED"),
    b"DELE-": Report(ScanStatus.INFECTED, NAME, "beyond repair (test file DELE-)"),
}


def test_string() -> bytes:
    """The 68 characters, put together afresh."""
    return b"".join(_PIECES)


def judge(content: bytes) -> Report:
    """What KAV-TST-02 says about ``content``: clear unless it is the test file or a variant of it."""
    if not LENGTH <= len(content) <= MAX_SIZE:
        return CLEAR
    body = content
    while body[:3] == _BYTE_ORDER_MARK or (body and body[0] in _WHITE):
        body = body[3:] if body[:3] == _BYTE_ORDER_MARK else body.lstrip(_WHITE)
    if len(content) - len(body) > MAX_LEAD:
        return CLEAR
    report = _PREFIXES.get(body[:PREFIX_LENGTH])
    if report is not None:
        body = body[PREFIX_LENGTH:]
    test = test_string()
    if not body.startswith(test) or body[LENGTH:].strip(_WHITE) or len(body) > MAX_LENGTH:
        return CLEAR
    return report or Report(ScanStatus.INFECTED, NAME)
