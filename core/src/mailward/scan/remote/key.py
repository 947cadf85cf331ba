"""The key that gateways and scan servers share, and how each proves to have it.

Both ends send a nonce and then a MAC over both nonces and the server's certificate as each of them
sees it. A stranger in the middle has to show a certificate of his own, and then the MACs do not fit:
so the certificate needs no authority behind it, and the key never travels (RFC 5929, tls-server-end-point).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from attrs import field, frozen

from mailward.values.errors import ConfigError, Problem

MIN_KEY_BYTES = 32
NONCE_BYTES = 32
PROTOCOL = 1
GATEWAY = b"mailward gateway"
SERVER = b"mailward scan server"
_OTHERS = 0o007


@frozen
class Key:
    """A shared key. It is in no representation, log line or error."""

    _bytes: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path, setting: str, source: str) -> Key:
        """Read a key file: its text without surrounding space. Raises ConfigError."""
        try:
            mode = path.stat().st_mode
            text = path.read_bytes().strip()
        except OSError as error:
            raise ConfigError(source, [Problem(setting, f"cannot be read: {error.strerror}", str(path))]) from error
        if mode & _OTHERS:
            problem = Problem(setting, "can be read by everybody", str(path), "chmod o= on the file")
            raise ConfigError(source, [problem])
        if len(text) < MIN_KEY_BYTES:
            allowed = f"at least {MIN_KEY_BYTES} characters, as `openssl rand -base64 48` gives"
            raise ConfigError(source, [Problem(setting, "is too short to be a key", str(path), allowed)])
        return cls(text)

    def proof(self, who: bytes, nonces: tuple[bytes, bytes], certificate: bytes) -> bytes:
        """The MAC by which ``who`` shows to have the key; ``nonces`` are the gateway's and the server's."""
        parts = (who, b"%d" % PROTOCOL, *nonces, hashlib.sha256(certificate).digest())
        return hmac.digest(self._bytes, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha256")

    def fingerprint(self, identity: str) -> str:
        """A fingerprint of a configuration that tells only those something who have the key."""
        return hmac.digest(self._bytes, b"configuration" + identity.encode(), "sha256").hex()[:32]


def nonce() -> bytes:
    """A new nonce."""
    return secrets.token_bytes(NONCE_BYTES)


def equal(one: bytes, other: bytes) -> bool:
    """Whether two MACs are the same; takes the same time for all that are not."""
    return hmac.compare_digest(one, other)
