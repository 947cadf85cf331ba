"""Small files that start something, or lead elsewhere, when they are opened: by name, as their systems go by it."""

from __future__ import annotations

import re

from mailward import Part
from mailward_antivirus.heuristics.patterns import Pattern, around, pattern
from mailward_antivirus.heuristics.scripts import source_of
from mailward_antivirus.heuristics.trait import Traits, suffixes, trait

_ELSEWHERE = (r"\\\\[^\\\s]", r"\b(?:https?|ftp|smb|search-ms):/", r"\bfile:/{2}[^/\s]", r"\bfile:/{4}")
_NAMESPACES = re.compile(
    rb"<!DOCTYPE[^>\[]*+>|\b(?:xmlns(?>:[\w.-]++)?+|\w++:schemaLocation)\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')", re.I
)
"""Addresses that are names, and lead nowhere."""
_RULES: tuple[tuple[str, Pattern], ...] = (
    ("library-ms searchconnector-ms search-ms", pattern(*_ELSEWHERE)),
    ("settingcontent-ms", pattern(r"<deeplink>\s*\S")),
    ("appref-ms application vsto xbap appinstaller jnlp", pattern(*_ELSEWHERE)),
    ("msc", pattern(*_ELSEWHERE, r"(?:java|vb)script", r"\bmsxsl\b", r"apds\.dll", r"\b(?:cmd|powershell|mshta)\b")),
    (
        "rdp",
        pattern(
            r"remoteapplicationmode:i:1",
            r"remoteapplicationprogram:s:\S",
            r"drivestoredirect:s:\S",
            r"alternate shell:s:\S",
        ),
    ),
    ("iqy oqy dqy rqy odc udl", pattern(*_ELSEWHERE)),
    ("wsb", pattern(r"<logoncommand>", r"<mappedfolder>")),
    (
        "scf inf theme themepack deskthemepack",
        pattern(*_ELSEWHERE, r"run(?:pre|post)setupcommands", r"(?:un)?registerocxs", r"\bscrobj\b", r"\.sct\b"),
    ),
    ("desktop", pattern(r"(?m)^\s*exec\s*=\s*\S")),
    ("inetloc fileloc webloc", pattern(r"\b(?:file|smb|afp|ftp|ssh):", r"\\\\[^\\\s]")),
    ("terminal", pattern(r"commandstring")),
    ("command tool", pattern(r"\S")),
)
_BY_SUFFIX = {suffix: runs for names, runs in _RULES for suffix in names.split()}
LAUNCHER_SUFFIXES = frozenset(_BY_SUFFIX)


def inspect_launcher(part: Part) -> Traits:
    """Libraries, connectors, settings, ClickOnce, consoles, connections, queries, sandboxes and their like."""
    chosen = next((one for one in suffixes(part) if one in _BY_SUFFIX), "")
    if not chosen:
        return
    source = _NAMESPACES.sub(b"", source_of(part))
    yield trait("launcher", f".{chosen}")
    if match := _BY_SUFFIX[chosen].search(source):
        yield trait("launcher_runs", around(source, match))
