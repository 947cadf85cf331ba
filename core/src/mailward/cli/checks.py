"""The checks of ports and of the state folder."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

import msgspec

from mailward.engine.config import Config
from mailward.engine.core_settings import CoreSettings
from mailward.engine.gateway_settings import Auth, Tls
from mailward.engine.listeners import ListenerSection
from mailward.gateway.address import Listen
from mailward.gateway.passwords import PasswordError, PasswordFile
from mailward.gateway.plan import descriptors_needed
from mailward.gateway.privileges import account
from mailward.gateway.tls import Certificates
from mailward.supervisor.control import Request, ask
from mailward.values.check import Check
from mailward.values.errors import ConfigError

_GREETING_TIMEOUT_S = 3.0
_LEAST_FREE_BYTES = 1024**3
_LEAST_FREE_MESSAGES = 10


def descriptors(core: CoreSettings) -> Check:
    """Whether there are descriptors enough for one gateway process when all limits are reached."""
    needed, (_, hard) = descriptors_needed(core), resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = hard if hard != resource.RLIM_INFINITY else needed
    detail = f"{needed:,} needed at most, {allowed:,} allowed"
    advice = "raise the limit of open files, or lower gateway.max_connections or delivery.concurrency"
    return Check("descriptors", needed <= allowed, detail, advice, True, "core")


def privileges(config: Config) -> Check:
    """Whom the gateway runs as, and whether the state folder is his."""
    process = config.core.process
    try:
        who = account(process.user, process.group, config.source)
    except ConfigError as error:
        problem = error.problems[0]
        return Check("privileges", False, f"{problem.key} {problem.value}: {problem.message}", plugin="core")
    uid = os.geteuid() if who is None else who.uid
    if uid == 0:
        advice = "name a user without rights: process.user; root is given up once the ports are bound"
        return Check("privileges", False, "the gateway runs as root", advice, True, "core")
    if config.state.exists() and config.state.stat().st_uid != uid:
        advice = f"chown -R {process.user or uid} {config.state}"
        return Check("privileges", False, f"{config.state} belongs to another user", advice, plugin="core")
    return Check("privileges", detail=f"runs as {process.user or f'user {uid}'}", plugin="core")


def places_taken(state: Path) -> frozenset[tuple[str, int]]:
    """Where the program listens that runs on a state folder; nowhere where none runs."""
    try:
        facts = json.loads(bytes(ask(state, Request("status"), _GREETING_TIMEOUT_S).facts))
    except (OSError, ValueError, msgspec.DecodeError):
        return frozenset()
    return frozenset(Listen.parse(address).place for address in facts["listening"])


def listening(address: str, source: str, hostname: str, taken: Container[tuple[str, int]] = ()) -> Check:
    """Whether the gateway can listen there, or does already: where it does (``taken``) or where it greets.

    Raises ConfigError where it is no address.
    """
    listen = Listen.parse(address, source)
    name = f"listen {listen}"
    if listen.port and listen.place in taken:
        return Check(name, detail="the program that runs listens there already", plugin="core")
    try:
        listen.bind(source).close()
    except ConfigError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE and _greets_as(listen, hostname):
            return Check(name, detail=f"{hostname} answers there already", plugin="core")
        problem = error.problems[0]
        return Check(name, False, problem.message, problem.allowed, plugin="core")
    return Check(name, detail="free", plugin="core")


def _greets_as(listen: Listen, hostname: str) -> bool:
    host = {"": "::1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    try:
        with socket.create_connection((host, listen.port), _GREETING_TIMEOUT_S) as connection:
            connection.settimeout(_GREETING_TIMEOUT_S)
            return connection.recv(512).startswith(f"220 {hostname} ".encode())
    except OSError:
        return False


def files_of(config: Config, listener: ListenerSection) -> Iterator[Check]:
    """Whether the certificate and the password file of a listener can be used."""
    settings = listener.settings
    key = listener.key
    if settings.tls is not Tls.OFF:
        try:
            Certificates(settings, config.base, key, config.source)
            yield Check(f"{key} certificate", detail=str(settings.tls_certificate), plugin="core")
        except ConfigError as error:
            problem = error.problems[0]
            advice = "give the files as PEM, the key without a password, readable by the user of the gateway"
            yield Check(f"{key} certificate", False, f"{problem.value}: {problem.message}", advice, plugin="core")
    if settings.auth is not Auth.OFF and settings.password_file is not None:
        try:
            PasswordFile(config.base / settings.password_file.expanduser()).check()
            yield Check(f"{key} passwords", detail=str(settings.password_file), plugin="core")
        except PasswordError as error:
            advice = f"mailward password --file {settings.password_file} USER"
            yield Check(f"{key} passwords", False, str(error), advice, plugin="core")


def control_folder(config: Config) -> Iterator[Check]:
    """Whether the folder of control files is there, where one is set: nothing else ever says that it is not."""
    folder = config.core.control.folder
    if folder is not None:
        path = config.resolve(folder)
        advice = f"make the folder {path}, or set control.folder"
        yield Check("control folder", path.is_dir(), str(path), advice, True, "core")


def state_folder(folder: Path, message_bytes: int) -> Iterator[Check]:
    """Whether the state folder is there or can be made, can be written, and has room."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            detail = f"{folder} can be written" if there == folder else f"{folder} will be made in {there}"
            yield Check("state folder", detail=detail, plugin="core")
    except OSError as error:
        advice = f"give the user of the gateway write access to {there}, or set spool.path"
        yield Check("state folder", False, f"{there}: {error.strerror}", advice, plugin="core")
        return
    wanted = max(_LEAST_FREE_BYTES, _LEAST_FREE_MESSAGES * message_bytes)
    free = shutil.disk_usage(there).free
    detail = f"{free / 1024**3:.1f} GB free"
    advice = f"make room: at least {wanted / 1024**3:.1f} GB should be free, or lower gateway.max_message_bytes"
    yield Check("free space", free >= wanted, detail, advice, True, "core")
    if folder.exists() and os.name == "posix" and folder.stat().st_mode & 0o007:
        advice = f"chmod o-rwx {folder}"
        yield Check("state folder", False, f"{folder} is open to every user of this machine", advice, True, "core")
