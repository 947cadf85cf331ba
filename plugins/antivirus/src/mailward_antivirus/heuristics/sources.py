"""What a source text does, whatever its language: starts programs, fetches, hides."""

from __future__ import annotations

from mailward_antivirus.heuristics.patterns import around, pattern

RUNS = pattern(
    r"wscript\.shell",
    r"shell\.application",
    r"shellexecute",
    r"\bcreateprocess",
    r"start-process",
    r"\biex\b",
    r"invoke-(?:expression|command|item)",
    r"\beval\s*\(",
    r"\bexecute(?:global)?\s*\(",
    r"new\s+function\s*\(",
    r"cmd(?:\.exe)?\s*/[ck]",
    r"powershell(?:\.exe)?[\s\"']",
    r"\bpwsh\b",
    r"mshta(?:\.exe)?\s",
    r"regsvr32",
    r"rundll32",
    r"wmic\s",
    r"winmgmts:",
    r"win32_process",
    r"schtasks",
    r"activexobject",
    r"\.run\s*[(\"]",
    r"\.exec\s*\(",
)
FETCHES = pattern(
    r"xmlhttp",
    r"winhttp",
    r"invoke-webrequest",
    r"\biwr\b",
    r"invoke-restmethod",
    r"net\.webclient",
    r"download(?:file|string|data)",
    r"urldownloadtofile",
    r"bitsadmin",
    r"start-bitstransfer",
    r"certutil[^\n]{0,80}(?:urlcache|-f\s+http)",
    r"\bcurl(?:\.exe)?\s[^\n]{0,200}http",
    r"\bwget(?:\.exe)?\s[^\n]{0,200}http",
    r"getobject\s*\(\s*[\"']script:",
    r"\\\\[a-z0-9.-]{1,200}@(?:ssl|\d{1,5})\\",
)
_HIDES = (
    pattern(
        r"\s-(?:e|ec|en|enc|enco|encodedcommand)\s+[a-z0-9+/=]{40}",
        r"-w(?:indowstyle)?\s+hid",
        r"frombase64string",
        r"-bxor",
        r"\bstrreverse",
        r"bin\.base64",
        r"\[char\]\s*\(?\d",
        r"gzipstream",
        r"deflatestream",
        r"`[a-z]`[a-z]`",
    ),
    pattern(
        r"(?:chrw?\$?\s*\([&\dh+\-* ]{1,20}\)\s*[&+]\s*){8}",
        r"(?:\d{2,3}\s?,\s?){60}",
        r"(?:\\x[0-9a-f]{2}){40}",
        r"(?:%u?[0-9a-f]{2,4}){60}",
    ),
    pattern(r"[a-z0-9+/=]{1000}"),
)
_JOINED = pattern(r"[\"'][^\"'\n]{1,6}[\"']\s?[+&]\s?[\"']")
_JOINED_ENOUGH = 40


def hides(source: bytes) -> bytes:
    """How a source text hides what it does; empty where it does not."""
    for each in _HIDES:
        if match := each.search(source):
            return around(source, match)
    joined = sum(1 for _ in _JOINED.finditer(source))
    return b"%d short strings joined" % joined if joined >= _JOINED_ENOUGH else b""
