"""Character sets: names as they come in mail, decoded by a closed list of codecs.

Only names in the list reach the codec machinery. Looking up a name from a message would import by
name, keep every miss for ever, and reach codecs that are no character sets or take quadratic time.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases

_NOT_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"} | {
    "mbcs",
    "oem",
    "punycode",
    "idna",
    "undefined",
    "unicode_escape",
    "raw_unicode_escape",
}
_WIDER = {
    # What is labelled with the smaller set is commonly written in the larger one (WHATWG encodings).
    "latin_1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso2022_jp": "iso2022_jp_ext",
    "iso8859_9": "cp1254",
    "tis_620": "cp874",
}
_MORE = {
    "x_sjis": "cp932",
    "x_gbk": "gb18030",
    "x_euc_jp": "euc_jp",
    "x_big5": "big5",
    "x_mac_roman": "mac_roman",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "windows_874": "cp874",
    "windows_31j": "cp932",
    "windows_949": "cp949",
    "iso_8859_8_i": "iso8859_8",
    "utf8mb4": "utf_8",
}
_SNIFFED_BYTES = 512
_FEWEST_SNIFFED_BYTES = 8
_SURE_SHARE = 4
_SEPARATORS = re.compile(r"[^0-9a-z]+")


def _canonical(name: str) -> str:
    return _SEPARATORS.sub("_", name.lower()).strip("_")


def _table() -> dict[str, str]:
    table = {alias: codec for alias, codec in aliases.items() if codec not in _NOT_CHARSETS}
    table |= {codec: codec for codec in table.values()} | _MORE
    table |= {_canonical(alias): codec for alias, codec in table.items()}
    return {alias: _WIDER.get(codec, codec) for alias, codec in table.items()}


_CODECS = _table()


def codec(charset: str) -> str:
    """The codec for a MIME charset name, empty where it is not known."""
    return _CODECS.get(charset) or _CODECS.get(_canonical(charset[:64]), "")


def decode_text(data: bytes, charset: str = "") -> str:
    """Text of ``data``: by ``charset``, errors replaced; without a known one UTF-8, else Windows-1252. Never raises."""
    name = codec(charset) if charset else ""
    if name and name not in ("ascii", "utf_8"):
        text = data.decode(name, "replace")
        # UTF-7 can spell halves of surrogate pairs, which no other codec takes.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if name == "utf_7" else text
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8" if name == "utf_8" else "cp1252", "replace")


def true_charset(data: bytes, charset: str) -> str:
    """The charset that a text is written in where it shows that it is not the declared one: UTF-16; else empty."""
    name = codec(charset)
    if name.startswith(("utf_16", "utf_32")):
        return ""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = data[:_SNIFFED_BYTES]
    if b"\0" not in head or len(head) < _FEWEST_SNIFFED_BYTES:
        return ""
    even, odd, half = head[0::2].count(0), head[1::2].count(0), len(head) // 2
    if odd * _SURE_SHARE > half * (_SURE_SHARE - 1) and not even:
        return "utf-16-le"
    return "utf-16-be" if even * _SURE_SHARE > half * (_SURE_SHARE - 1) and not odd else ""
