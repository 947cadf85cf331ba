"""TLS of a listener: its certificate, read again when the files change, and those of clients."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from pathlib import Path
from typing import cast

from mailward.engine.gateway_settings import ClientCertificates, GatewaySettings, TlsVersion
from mailward.hooks.log import get_logger
from mailward.values.errors import ConfigError, Problem

_VERSIONS = {TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    ClientCertificates.OFF: ssl.CERT_NONE,
    ClientCertificates.REQUEST: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRE: ssl.CERT_REQUIRED,
}
_State = tuple[tuple[int, int, int], ...]


class Certificates:
    """The TLS context of one listener.

    The files are looked at before each handshake; where they have changed and are good, new
    connections get the new certificate. Where they are not, the old one stays, and the log says so.
    """

    def __init__(self, settings: GatewaySettings, base: Path, key: str, source: str) -> None:
        """Read the files; raises ConfigError where they cannot be used."""
        assert settings.tls_certificate is not None
        self._settings = settings
        self._certificate = base / settings.tls_certificate.expanduser()
        self._key = base / settings.tls_key.expanduser() if settings.tls_key else None
        self._ca = base / settings.tls_client_ca.expanduser() if settings.tls_client_ca else None
        self._state: _State = ()
        try:
            self._state = self._look()
            self._context = self._read()
        except (OSError, ssl.SSLError) as error:
            problem = Problem(f"{key}.tls_certificate", f"cannot be used: {_words(error)}", str(self._certificate))
            raise ConfigError(source, [problem]) from error

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        try:
            state = self._look()
            if state == self._state:
                return self._context
            self._context = self._read()
        except (OSError, ssl.SSLError) as error:
            state = () if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else state
            if state != self._state:
                get_logger().error(
                    "certificate not read", file=str(self._certificate), problem=_words(error), goes_on="with the old"
                )
        else:
            get_logger().info("certificate read again", file=str(self._certificate))
        self._state = state
        return self._context

    def _look(self) -> _State:
        files = [file for file in (self._certificate, self._key, self._ca) if file is not None]
        return tuple((info.st_mtime_ns, info.st_size, info.st_ino) for info in map(os.stat, files))

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._settings.tls_min_version]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.load_cert_chain(self._certificate, self._key, password=_no_password)
        if self._ca is not None:
            context.load_verify_locations(self._ca)
        context.verify_mode = _VERIFY[self._settings.tls_client_certificates]
        return context


class TlsFault(Exception):
    """A handshake failed."""


async def start_tls(
    plain: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, early: bytes, timeout_s: float
) -> asyncio.Transport:
    """TLS on the server's side of a transport that is paused; ``early`` is what came of the handshake already.

    Raises TlsFault.
    """
    loop = asyncio.get_running_loop()
    starting = loop.create_task(
        loop.start_tls(plain, protocol, context, server_side=True, ssl_handshake_timeout=timeout_s)
    )
    try:
        if early:
            # they came behind a PROXY header and were read with it; the layer is there after two turns
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            _hand_over(plain, early)
        encrypted = await starting
    except (OSError, RuntimeError) as error:  # RuntimeError: the transport is closed already
        starting.cancel()
        raise TlsFault(str(error) or type(error).__name__) from error
    if encrypted is None:
        raise TlsFault("the connection was lost")
    return encrypted


def _hand_over(plain: asyncio.Transport, early: bytes) -> None:
    """Give bytes to the TLS layer that has just been put on a transport, as if they came from the network."""
    layer = cast(asyncio.BufferedProtocol, plain.get_protocol())
    while early:
        buffer = cast(memoryview, layer.get_buffer(len(early)))
        size = min(len(buffer), len(early))
        buffer[:size] = early[:size]
        layer.buffer_updated(size)
        early = early[size:]


def _no_password() -> str:
    # an encrypted key must not make the program ask on its terminal
    raise ssl.SSLError("the private key is encrypted; a gateway cannot type passwords")


def _words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def described(link: ssl.SSLObject) -> str:
    """Version and cipher of a TLS connection, as in ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
    cipher = link.cipher()
    return f"{link.version() or 'TLS'} {cipher[0] if cipher else ''}".rstrip()


def fingerprint(link: ssl.SSLObject) -> str:
    """The SHA-256 fingerprint of the client's certificate, lower-case hex; empty where it showed none.

    A certificate that was shown was verified: the handshake fails with one that is not good.
    """
    shown = link.getpeercert(binary_form=True)
    return hashlib.sha256(shown).hexdigest() if shown else ""
