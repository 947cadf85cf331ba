"""RTF: objects in it, fields that act, and the tricks that hide them."""

from __future__ import annotations

from mailward import Part
from mailward_antivirus.heuristics.patterns import around, pattern
from mailward_antivirus.heuristics.rtf_fields import instructions
from mailward_antivirus.heuristics.trait import Traits, beyond, trait

MAX_BYTES = 64 * 1024 * 1024
_MAX_OBJECTS = 50
_WORD_ENDS = r"(?:-?\d{1,10})?[^a-z]"
"""A control word ends where its letters do: a number may follow at once. Before it, ``\\\\`` is a character."""
_OBJECT = pattern(r"[^\\](?:\\\\)*\\obj(?:data|embd?|ocx|link|autlink|html)" + _WORD_ENDS)
_STARTS = pattern(r"[^\\](?:\\\\)*\\obj(?:update|autlink)" + _WORD_ENDS)
_NOISE = pattern(
    r"\\objdata[^{}\\]{0,900}\\bin0*[1-9]",
    r"\\objdata(?:-?\d{1,10})?[\s{}]{0,40}\\[a-z]+",
    r"\{\\\*\\[a-z]{20}",
    r"\\objdata[^{}]{0,200}(?:(?:\{[^{}]{0,100}\}|\\[a-z]{1,30}-?\d{0,10})\s?){6}",
)
_DATA = pattern(r"[^\\](?:\\\\)*\\objdata(?:-?\d{1,10})?(?:[^a-z]|$)")
_EQUATION_CLASS = bytes.fromhex("02ce020000000000c000000000000046")
_PROGRAM = pattern(
    r"([^\x00\\/]{1,80}\.(?:exe|scr|com|pif|js|jse|vbs|vbe|wsf|hta|lnk|bat|cmd|ps1|dll|sct|msi))\x00",
)
_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))


def inspect_rtf(part: Part) -> Traits:
    """Objects, what starts by itself, the equation editor, fields and templates that act, and hiding."""
    data = part.head(MAX_BYTES)
    yield from beyond(part, MAX_BYTES)
    if not data.startswith(b"{\\rtf1"):
        yield trait("rtf_hides", data[:12])
    yield from _instructions(data)
    match = _OBJECT.search(data)
    if match is None:
        return
    yield trait("rtf_object", around(data, match))
    if start := _STARTS.search(data):
        yield trait("rtf_object_starts", start[0])
    yield from _objects(data)
    if noise := _NOISE.search(data):
        yield trait("rtf_hides", around(data, noise))


def _instructions(data: bytes) -> Traits:
    for one in instructions(data):
        if one.rule:
            yield trait(one.rule, one.text.strip())
            if one.escaped:
                yield trait("rtf_hides", data[one.start : one.end])
        if not one.whole and one.end < len(data):
            yield trait("rtf_hides", f"fields beyond what is looked at: {one.text[:80]}")


def _objects(data: bytes) -> Traits:
    for number, match in enumerate(_DATA.finditer(data)):
        if number >= _MAX_OBJECTS:
            return
        end = data.find(b"}", match.end())
        digits = data[match.end() : end if end >= 0 else len(data)].translate(None, _NOT_HEX)
        raw = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
        lowered = raw[:4096].lower()
        if b"equation" in lowered[:256] or _EQUATION_CLASS in raw[:65536]:
            yield trait("equation", raw[:48])
        if b"package" in lowered[:256] and (found := _PROGRAM.search(raw[:4096])):
            yield trait("embedded_program", found[1])
        if b"otkloadr" in lowered or b"htmlfile" in lowered[:256] or b"ole2link" in lowered[:256]:
            yield trait("external_moniker", raw[:48])
