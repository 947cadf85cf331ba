"""Addresses of the envelope (RFC 5321 section 4.1.2)."""

from __future__ import annotations

import re

from attrs import field, frozen

_PLAIN = re.compile(
    r"([A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)@([A-Za-z0-9.\u0080-\U0010ffff-]+|\[[A-Za-z0-9:.]+\])"
)
_QUOTED = re.compile(
    r'("(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*")@([A-Za-z0-9.\u0080-\U0010ffff-]+|\[[A-Za-z0-9:.]+\])'
)
MAX_LENGTH = 320


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
        object.__setattr__(self, "_key", f"{self.local.lower()}@{self.domain}" if self.domain or self.local else "")

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
        """``local@domain`` in lower case: what masks and comparisons use."""
        return self._key

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain or self.local else ""


NULL = Address()
