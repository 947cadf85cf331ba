"""The exceptions of Mailward, by whose fault they are.

    MailwardError
    ├── ConfigError          the administrator's configuration: file, key, value, what is allowed
    ├── PluginLoadError      a plugin cannot be loaded: missing, wrong hook, wrong signature
    ├── PluginFault          a plugin raised, hung or returned the wrong type while working
    ├── PeerError            a peer (client, next hop, DNS, scanner) failed or lied
    ├── NoRoute              a recipient has no next hop, for good
    ├── SpoolError           the queue on disk cannot be read or written
    └── ScanError            a scan process failed

Errors are for the person who must act; none of their texts is ever sent to an SMTP client.
"""

from __future__ import annotations

from attrs import frozen

from mailward.values.reply import Reply


class MailwardError(Exception):
    """Base of every exception that Mailward raises on purpose."""


@frozen
class Problem:
    """One thing wrong in a configuration.

    ``key`` is the dotted path in the file; ``value`` is shown as it stands there (never a secret).
    """

    key: str
    message: str
    value: str = ""
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"{self.key}{f' = {self.value}' if self.value else ''}: {self.message}"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return text


class ConfigError(MailwardError):
    """A configuration is wrong: every problem found in one go."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))


class PluginLoadError(MailwardError):
    """A plugin named in the configuration cannot be used."""


class PluginFault(MailwardError):
    """A plugin failed while working; ``failure`` is ``raised``, ``deadline`` or ``type``."""

    def __init__(self, failure: str, detail: str) -> None:
        self.failure = failure
        self.detail = detail
        super().__init__(f"{failure}: {detail}")


class PeerError(MailwardError):
    """Something on the other end of a connection failed, or said what it may not say."""


class NameNotFound(PeerError):
    """DNS says for certain that the name or record does not exist."""


class DnsFault(PeerError):
    """DNS gave no answer (time-out, SERVFAIL): nothing is known, try later."""


class NoRoute(MailwardError):
    """There is no next hop for a recipient, and there will be none: the recipient fails for good."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(str(reply))


class SpoolError(MailwardError):
    """The spool cannot be read or written: disk full, permissions, damaged record."""


class ScanError(MailwardError):
    """The scan of a message ended without a verdict.

    ``reason`` is a key of `mailward.scan.codes.CODES`. ``crashes`` counts the scan processes that the
    message has taken with it (by a crash, by a hang past the deadline, by all of the memory), earlier
    tries included: whoever tries again hands the number on.
    """

    def __init__(self, reason: str, detail: str = "", crashes: int = 0) -> None:
        self.reason = reason
        self.detail = detail
        self.crashes = crashes
        super().__init__(f"{reason}: {detail}" if detail else reason)
