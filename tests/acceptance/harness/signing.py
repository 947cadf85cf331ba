"""A DKIM key of our own, made on the spot: no key lies in the repository, no other program is needed."""

from __future__ import annotations

import base64
import random

from attrs import field, frozen
from dkim.asn1 import INTEGER, SEQUENCE, asn1_build

_EXPONENT = 65537


@frozen
class Key:
    """The private key as PEM, and the TXT record of the public one."""

    private: bytes = field(repr=False)
    record: bytes


def make_key(seed: int = 1) -> Key:
    """A 1024-bit RSA key: the same one for the same seed, and for tests only."""
    source = random.Random(seed)
    p, q = _prime(source), _prime(source)
    n, d = p * q, pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = (0, n, _EXPONENT, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    private = asn1_build((SEQUENCE, [(INTEGER, number) for number in numbers]))
    public = asn1_build((SEQUENCE, [(INTEGER, n), (INTEGER, _EXPONENT)]))
    pem = b"-----BEGIN RSA " + b"PRIVATE KEY-----\n" + base64.encodebytes(private) + b"-----END RSA PRIVATE KEY-----\n"
    return Key(pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))


def _prime(source: random.Random) -> int:
    while True:
        number = source.getrandbits(512) | 3 << 510 | 1
        if number % _EXPONENT != 1 and all(_passes(number, source.randrange(2, number - 1)) for _ in range(20)):
            return number


def _passes(number: int, base: int) -> bool:
    """Miller and Rabin's test."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    return any((power := power * power % number) == number - 1 for _ in range(twos - 1))
