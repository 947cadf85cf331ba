"""A policy of MTA-STS (RFC 8461 section 3.2), and the folder in which policies outlive the process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from mailward_relay.targets import is_name

MAX_AGE_S = 31_557_600
MOST_HOSTS = 100
MOST_FILES = 10_000
"""Files that are kept; where there are more, the ones that were written longest ago go."""

_MODES = ("enforce", "testing", "none")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


class PolicyError(ValueError):
    """What a domain serves is no policy."""


@frozen
class Policy:
    """A policy: ``mode`` is ``enforce``, ``testing`` or ``none``; ``hosts`` are names and ``*.name`` in lower case."""

    mode: str
    hosts: tuple[str, ...]
    max_age_s: int

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy (RFC 8461 section 3.2). Raises PolicyError."""
        found: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, colon, value = line.partition(":")
            if colon:
                found.setdefault(key.strip(), []).append(value.strip())
        mode = found.get("mode", [""])[0]
        age = found.get("max_age", [""])[0]
        if found.get("version", [""])[0] != "STSv1" or mode not in _MODES or not re.fullmatch(r"[0-9]{1,10}", age):
            raise PolicyError("version, mode or max_age are missing or wrong")
        hosts = tuple(host.lower().rstrip(".") for host in found.get("mx", ())[:MOST_HOSTS])
        if mode != "none" and (not hosts or not all(is_name(host.removeprefix("*.")) for host in hosts)):
            raise PolicyError("mx is missing or wrong")
        return cls(mode, hosts, min(int(age), MAX_AGE_S))

    @property
    def text(self) -> str:
        """The policy as a domain would serve it."""
        hosts = "".join(f"mx: {host}\n" for host in self.hosts)
        return f"version: STSv1\nmode: {self.mode}\n{hosts}max_age: {self.max_age_s}\n"

    def names(self, host: str) -> bool:
        """Whether a mail host is one of the policy's (RFC 8461 section 4.1)."""
        parent = host.partition(".")[2]
        return host in self.hosts or f"*.{parent}" in self.hosts


@frozen
class Known:
    """A policy with the id of the record by which it was fetched."""

    id: str
    policy: Policy


@frozen
class PolicyFolder:
    """A file for each domain whose policy is known, shared by all gateway processes.

    Without it whoever hinders the look-up after a start would have mail go out as if there were no policy.
    A file that cannot be read or written is one that is not there: it is told, and mail goes on.
    """

    folder: Callable[[], Path]
    time: Callable[[], float]
    log: Any

    def read(self, domain: str) -> tuple[Known, float] | None:
        """What is known of a domain, and for how many seconds; None where nothing is, or no longer."""
        try:
            kept = json.loads(self._path(domain).read_text("ascii"))
            known = Known(str(kept["id"]), Policy.parse(str(kept["policy"])))
            age_s = max(0.0, self.time() - float(kept["fetched_at"]))
            if kept["domain"] != domain or not _ID.fullmatch(known.id):
                raise ValueError("it is of another domain, or has no id")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.log.warning("MTA-STS policy cannot be kept", domain=domain, detail=f"reading: {error}")
            return None
        left_s = known.policy.max_age_s - age_s
        return (known, left_s) if left_s > 0 else None

    def write(self, domain: str, known: Known) -> None:
        """Keep what has just been fetched."""
        kept = {"domain": domain, "id": known.id, "fetched_at": self.time(), "policy": known.policy.text}
        try:
            path = self._path(domain)
            aside = path.with_name(f"{path.stem}.{os.getpid()}")
            aside.write_text(json.dumps(kept), "ascii")
            aside.replace(path)
            self._make_room(path.parent)
        except OSError as error:
            self.log.warning("MTA-STS policy cannot be kept", domain=domain, detail=f"writing: {error}")

    def _path(self, domain: str) -> Path:
        """Names from mail are no paths: the file is called by a digest of the domain."""
        folder = self.folder() / "sts"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{hashlib.sha256(domain.encode()).hexdigest()}.json"

    @staticmethod
    def _make_room(folder: Path) -> None:
        names = os.listdir(folder)
        if len(names) <= MOST_FILES:
            return
        by_age: list[tuple[float, Path]] = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                by_age.append(((folder / name).stat().st_mtime, folder / name))
        for _, path in sorted(by_age)[: MOST_FILES // 10]:
            path.unlink(missing_ok=True)
