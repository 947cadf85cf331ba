"""The settings of the scan server."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mailward.hooks.settings import between, setting


@frozen
class ScanServerSettings:
    """``[scan_server]``: what ``mailward scan-server`` listens on, and whom it serves (IMA-SRV)."""

    listen: tuple[str, ...] = setting(("127.0.0.1:7777",), help="addresses and ports to take scans on")
    certificate: Path | None = setting(None, help="PEM file with its TLS certificate (and those that sign it)")
    private_key: Path | None = setting(None, help="PEM file with the key of the certificate")
    key: Path | None = setting(None, help="file with the key that gateways and this server share")
    local_dir: Path | None = setting(
        None, help="folder whose files may be scanned by name (LocalFileScanDir); unset: none"
    )
    temp_dir: Path | None = setting(
        None, help="existing folder for large messages while they are scanned (TempDir); unset: the system's"
    )
    max_connections: int = setting(200, validator=between(1, 10_000), help="connections of gateways at a time")
