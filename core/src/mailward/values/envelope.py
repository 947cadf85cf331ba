"""The envelope: who sends what to whom, and over which connection (RFC 5321, RFC 3461)."""

from __future__ import annotations

from attrs import evolve, field, frozen

from mailward.values.address import NULL, Address
from mailward.values.content import Content
from mailward.values.finding import Finding

Parameters = tuple[tuple[str, str], ...]
"""ESMTP parameters as sent: upper-case keyword, value (empty where none)."""


def _value(parameters: Parameters, keyword: str) -> str | None:
    return next((value for name, value in parameters if name == keyword), None)


@frozen
class Session:
    """One SMTP connection as it stands now. ``helo`` is empty before EHLO/HELO.

    ``client_cert`` is the SHA-256 fingerprint (lower-case hex) of the certificate that the client
    showed in TLS, where it was verified; empty otherwise. ``client_name`` is the host name of the
    client, confirmed by an address record, where names are looked up (``gateway.client_names``).
    ``origin_ip``, ``origin_name`` and ``origin_helo`` are what a trusted client says of the one that
    it had the message from (XFORWARD): good for judging, never for permission.
    """

    id: str = ""
    client_ip: str = ""
    client_port: int = 0
    helo: str = ""
    protocol: str = "SMTP"
    tls: str = ""
    user: str = ""
    listener: str = ""
    started_at: float = 0.0
    client_cert: str = ""
    client_name: str = ""
    origin_ip: str = ""
    origin_name: str = ""
    origin_helo: str = ""


@frozen
class Sender:
    """The reverse-path with its ESMTP parameters (SIZE, BODY, SMTPUTF8, RET, ENVID)."""

    address: Address = NULL
    parameters: Parameters = ()

    def parameter(self, keyword: str) -> str | None:
        """The value of an ESMTP parameter (empty string: given without value), or None."""
        return _value(self.parameters, keyword)


@frozen
class Recipient:
    """A forward-path with its ESMTP parameters (NOTIFY, ORCPT).

    ``local`` says whether the address belongs to the house (answered by the `locality` hook),
    None where no plugin knows. ``source_route`` is the route that stood before the address, as in
    ``@a,@b:`` (RFC 5321 appendix C); mail never follows it.
    """

    address: Address
    parameters: Parameters = ()
    local: bool | None = None
    source_route: str = ""

    def parameter(self, keyword: str) -> str | None:
        """The value of an ESMTP parameter (empty string: given without value), or None."""
        return _value(self.parameters, keyword)


@frozen
class Envelope:
    """Everything known of a message but its content.

    ``id`` names the message in queue, log and events; ``findings`` are those of the connection and
    envelope hooks, which travel with the message into the scan. Times are Unix seconds.
    """

    session: Session = field(factory=Session)
    sender: Sender = field(factory=Sender)
    recipients: tuple[Recipient, ...] = ()
    id: str = ""
    received_at: float = 0.0
    findings: tuple[Finding, ...] = ()

    @property
    def leaves_the_house(self) -> bool:
        """Whether any recipient is not known to be local."""
        return not all(recipient.local for recipient in self.recipients)

    def only(self, recipients: tuple[Recipient, ...]) -> Envelope:
        """The same envelope for these recipients: the copy of one policy."""
        return self if recipients == self.recipients else evolve(self, recipients=recipients)


@frozen
class MessageInfo:
    """A message in the gateway's hands, content unopened: what gateway hooks get.

    ``head`` is the header block as received (cut at 64 KiB); ``attempts`` counts deliveries tried.
    ``content`` reads the message: as received in `data`, as it is to be delivered in `route` and
    `deliver`. It may be read while the hook runs and not after. Looking into it is for scan processes;
    here it can be copied.
    """

    id: str
    envelope: Envelope
    size_bytes: int
    head: bytes = b""
    attempts: int = 0
    content: Content | None = field(default=None, eq=False, repr=False)
