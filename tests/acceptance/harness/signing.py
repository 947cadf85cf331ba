"""A DKIM key of our own, made on the spot: no key lies in the repository, no other program is needed."""

from __future__ import annotations

import base64
import random

from attrs import field, frozen

_EXPONENT = 65537
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")  # the algorithm's name in DER


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
    private = _sequence(*map(_integer, numbers))
    public = _sequence(_RSA, _der(3, b"\0" + _sequence(_integer(n), _integer(_EXPONENT))))
    pem = b"-----BEGIN RSA " + b"PRIVATE KEY-----\n" + base64.encodebytes(private) + b"-----END RSA PRIVATE KEY-----\n"
    return Key(pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _integer(number: int) -> bytes:
    return _der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _sequence(*items: bytes) -> bytes:
    return _der(0x30, b"".join(items))


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
