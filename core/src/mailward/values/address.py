"""Addresses of the envelope (RFC 5321 section 4.1.2)."""

from __future__ import annotations

import re

from attrs import field, frozen

# Sets are written as what is not in them: all that is not ASCII is, but for control characters, and to list that takes
# milliseconds to compile.
_ATOM = r'[^\x00- "(),:;<>@\[\\\]\x7f-\x9f]+'
_DOMAIN = r"([^\x00-,/:-@\[-`{-\x9f]+|\[[A-Za-z0-9:.]+\])"
_PLAIN = re.compile(rf"({_ATOM})@{_DOMAIN}")
_QUOTED = re.compile(r'("(?:[^\x00-\x1f"\\\x7f-\x9f]|\\[ -~])*")@' + _DOMAIN)
_DOT_STRING = re.compile(_ATOM)
_QUOTED_PAIR = re.compile(r"\\(.)")
_NEEDS_PAIR = re.compile(r'(["\\])')
MAX_LENGTH = 320


def domain_spellings(domain: str) -> tuple[str, ...]:
    """A domain (lower case) as it is written, and in its other forms where it is international: IDNA, and letters."""
    if domain.isascii() and "xn--" not in domain:
        return (domain,)
    try:
        idna = domain.encode("idna")
        return tuple(dict.fromkeys((domain, idna.decode("ascii").lower(), idna.decode("idna").lower())))
    except UnicodeError:
        return (domain,)


def _unquoted(local: str) -> str:
    """A local part in its shortest form: quotes and backslashes that change nothing say nothing (RFC 5321 4.1.2)."""
    if not local.startswith('"'):
        return local
    meant = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    if _DOT_STRING.fullmatch(meant):
        return meant
    return '"' + _NEEDS_PAIR.sub(r"\\\1", meant) + '"'


class AddressError(ValueError):
    """Text is not a mailbox as RFC 5321 section 4.1.2 writes it."""


@frozen(order=True)
class Address:
    """A mailbox, or the null address ``<>`` (both halves empty).

    ``local`` is kept as it was sent (quotes included); ``domain`` is lower case.
    """

    local: str = ""
    domain: str = ""
    _key: str = field(init=False, eq=False, order=False, repr=False)

    def __attrs_post_init__(self) -> None:
        key = f"{_unquoted(self.local).lower()}@{self.domain}" if self.domain or self.local else ""
        object.__setattr__(self, "_key", key)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``local@domain`` (no angle brackets); the empty string is the null address.

        Raises AddressError where the text is no mailbox of RFC 5321.
        """
        if not text:
            return NULL
        match = (_PLAIN.fullmatch(text) or _QUOTED.fullmatch(text)) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise AddressError(f"{text[:MAX_LENGTH]!r} is not an address: write local@domain")
        domain = match[2]
        if domain[0] == "." or domain[-1] == "." or ".." in domain:
            raise AddressError(f"{text!r} has an empty label in its domain")
        return cls(match[1], domain.lower())

    @property
    def is_null(self) -> bool:
        """Whether this is ``<>``, the sender of bounces (RFC 5321 section 4.5.5)."""
        return not self.local and not self.domain

    @property
    def key(self) -> str:
        """``local@domain`` in lower case, without quotes that say nothing: what comparisons use."""
        return self._key

    @property
    def keys(self) -> tuple[str, ...]:
        """The key with the domain in every spelling: what masks are held against, so that none slips by."""
        if self.domain.isascii() and "xn--" not in self.domain:
            return (self._key,)
        local = self._key[: len(self._key) - len(self.domain)]
        return tuple(local + domain for domain in domain_spellings(self.domain))

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain or self.local else ""


NULL = Address()
