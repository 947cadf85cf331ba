"""Certificates for tests: an authority that every peer of a test trusts, and files that it made."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme
from attrs import frozen


@frozen
class Authority:
    """An authority with its files in a folder."""

    folder: Path
    made: trustme.CA

    @classmethod
    def make(cls, folder: Path, name: str = "ca") -> Authority:
        """A new one; its own certificate is ``NAME.pem``."""
        folder.mkdir(parents=True, exist_ok=True)
        made = trustme.CA()
        made.cert_pem.write_to_path(folder / f"{name}.pem")
        return cls(folder, made)

    def issue(self, name: str, file: str = "") -> Path:
        """A certificate with its key and chain in one file."""
        path = self.folder / f"{file or name}.pem"
        path.unlink(missing_ok=True)
        self.made.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def trusting(self, certificate: Path | None = None) -> ssl.SSLContext:
        """The TLS context of a client that trusts this authority, and shows a certificate where given."""
        context = ssl.create_default_context()
        self.made.configure_trust(context)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context
