"""Windows shortcuts (MS-SHLLINK): what they start."""

from __future__ import annotations

import struct

from mailward import Part
from mailward_antivirus.heuristics.patterns import pattern
from mailward_antivirus.heuristics.trait import Traits, trait

MAX_BYTES = 1024 * 1024
_CLSID = b"\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
_INTERPRETERS = pattern(
    *("powershell", "pwsh", r"cmd(?:\.exe)?\b", "mshta", "wscript", "cscript", "rundll32", "regsvr32", "certutil"),
    *("bitsadmin", "msiexec", "wmic", "forfiles", "conhost", r"explorer\.exe\s+\S", "https?://", r"curl\b", r"ssh\b"),
    *("python", "installutil", "msbuild", r"\\\\[a-z0-9.-]{1,200}(?:@\w{1,10})?\\"),
)
_LONGEST_ARGUMENTS = 260
_PUSHED = 20
_HAS_IDS, _HAS_LOCATION, _IS_UNICODE = 0x01, 0x02, 0x80
_STRINGS = ((0x04, "name"), (0x08, "relative_path"), (0x10, "working_dir"), (0x20, "arguments"), (0x40, "icon"))


def inspect_shortcut(part: Part) -> Traits:
    """A Windows shortcut and what it starts."""
    strings = shortcut_strings(part.head(MAX_BYTES))
    yield trait("shortcut", strings.get("relative_path", "") or strings.get("target", ""))
    command = " ".join(strings[key] for key in ("target", "relative_path", "arguments", "ids") if key in strings)
    if match := _INTERPRETERS.search(command.encode("utf-8", "replace")):
        yield trait("shortcut_runs", command.encode("utf-8", "replace")[match.start() : match.start() + 160])
    arguments = strings.get("arguments", "")
    if len(arguments) > _LONGEST_ARGUMENTS or len(arguments) - len(arguments.lstrip()) > _PUSHED:
        yield trait("shortcut_hides", f"{len(arguments)} characters of arguments")


def shortcut_strings(data: bytes) -> dict[str, str]:
    """The strings of a shortcut, by name: ids, target, name, relative_path, working_dir, arguments, icon."""
    if len(data) < 76 or data[4:20] != _CLSID:
        return {}
    flags = struct.unpack_from("<I", data, 20)[0]
    place, found = 76, {}
    if flags & _HAS_IDS and place + 2 <= len(data):
        length = struct.unpack_from("<H", data, place)[0]
        found["ids"] = data[place + 2 : place + 2 + length].replace(b"\0", b"").decode("latin-1")
        place += 2 + length
    if flags & _HAS_LOCATION and place + 20 <= len(data):
        length = struct.unpack_from("<I", data, place)[0]
        base = struct.unpack_from("<I", data, place + 16)[0]
        if base:
            found["target"] = data[place + base : place + length].split(b"\0")[0].decode("latin-1")
        place += max(length, 4)
    wide = bool(flags & _IS_UNICODE)
    for bit, key in _STRINGS:
        if flags & bit and place + 2 <= len(data):
            size = struct.unpack_from("<H", data, place)[0] * (2 if wide else 1)
            found[key] = data[place + 2 : place + 2 + size].decode("utf-16-le" if wide else "cp1252", "replace")
            place += 2 + size
    return found
