"""ICAP on the wire (RFC 3507): requests made, answers read. Bytes in and out, no connection.

OPTIONS icap://host:port/service ICAP/1.0          ICAP/1.0 200 OK
Host: …                                            Methods: RESPMOD   ISTag: "…"   Preview: 1024   Allow: 204

RESPMOD icap://host:port/service ICAP/1.0          ICAP/1.0 204 No Content      nothing to say against it
Encapsulated: req-hdr=0, res-hdr=61, res-body=150  ICAP/1.0 200 OK              another content instead
(an HTTP request, an HTTP answer, the content in chunks)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from mailward_antivirus.names import named
from mailward_antivirus.report import Fault, Report, ScanStatus, unchecked

DEFAULT_PORT = 1344
MAX_HEAD_BYTES = 64 * 1024
FORM = "icap://host[:port]/service"

_STATUS = re.compile(r"ICAP/1\.[0-9] ([1-5][0-9]{2})(?: .*)?")
_HTTP_STATUS = re.compile(r"HTTP/[0-9.]{1,7} ([1-5][0-9]{2})\b")
_ENTITY = re.compile(r"(req-hdr|res-hdr|req-body|res-body|opt-body|null-body)=(\d{1,9})")
_INFECTION = re.compile(r"Type=(\d);\s*Resolution=(\d);\s*Threat=([^;\x00-\x1f]{1,200})")
_NAME = re.compile(r"[^\x20-\x7e]")
_SERVICE = re.compile(r"[A-Za-z0-9._~/?&=%-]*")


class IcapError(Exception):
    """The server does not speak ICAP as it should; the text says in what."""


@frozen
class IcapAddress:
    """A service: ``host``, ``port`` and ``service`` (path and query without the first slash)."""

    host: str
    port: int = DEFAULT_PORT
    service: str = ""

    @classmethod
    def parse(cls, text: str) -> IcapAddress:
        """Read ``icap://host:port/service``; ValueError says what is allowed."""
        try:
            url = urlsplit(text)
            port = DEFAULT_PORT if url.port is None else url.port
        except ValueError:
            raise ValueError(f"{text!r} is no address of an ICAP service; allowed: {FORM}") from None
        service = url.path.removeprefix("/") + (f"?{url.query}" if url.query else "")
        plain = (
            text.isprintable() and url.scheme == "icap" and url.hostname and url.username is None and not url.fragment
        )
        if not plain or not port or not _SERVICE.fullmatch(service):
            raise ValueError(f"{text!r} is no address of an ICAP service; allowed: {FORM}")
        return cls(url.hostname or "", port, service)

    @property
    def authority(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"icap://{self.authority}/{self.service}"


@frozen
class Head:
    """The head of an answer: its status, and its fields by name in lower case."""

    status: int
    fields: dict[str, str] = field(factory=dict)

    @property
    def body_at(self) -> int | None:
        """Where in what is encapsulated the body begins (bytes); None where there is none. Raises IcapError."""
        entities = self.fields.get("encapsulated")
        if entities is None:
            return None
        for name, offset in _ENTITY.findall(entities):
            if name.endswith("-body"):
                return None if name == "null-body" else _bounded(int(offset))
        raise IcapError("the answer does not say where its body begins")

    @property
    def keeps(self) -> bool:
        """Whether the server keeps the connection for another request."""
        return self.fields.get("connection", "").lower() != "close"


def _bounded(offset: int) -> int:
    if offset > MAX_HEAD_BYTES:
        raise IcapError("what is encapsulated has a head without end")
    return offset


def read_head(raw: bytes) -> Head:
    """The head of an answer, without the empty line after it. Raises IcapError."""
    lines = raw.decode("latin-1").split("\r\n")
    match = _STATUS.fullmatch(lines[0])
    if match is None:
        raise IcapError(f"answer not understood: {lines[0][:80]!r}")
    fields: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise IcapError(f"answer not understood: {line[:80]!r}")
        fields.setdefault(name, value.strip())
    return Head(int(match[1]), fields)


def options(address: IcapAddress) -> bytes:
    """The question what the service can do."""
    return f"OPTIONS {address} ICAP/1.0\r\nHost: {address.authority}\r\nUser-Agent: Mailward\r\n\r\n".encode("ascii")


def request(address: IcapAddress, method: str, size: int, preview: int | None) -> bytes:
    """All of a request but the content. The part's own name and type stay here: only the content may matter."""
    asked = b"GET http://mailward.invalid/part HTTP/1.1\r\nHost: mailward.invalid\r\n"
    entity = b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size
    if method == "REQMOD":
        asked = asked.replace(b"GET", b"PUT") + entity
        encapsulated, content = f"req-hdr=0, req-body={len(asked)}", asked
    else:
        asked += b"\r\n"
        answer = b"HTTP/1.1 200 OK\r\n" + entity
        content = asked + answer
        encapsulated = f"req-hdr=0, res-hdr={len(asked)}, res-body={len(content)}"
    lines = [
        f"{method} {address} ICAP/1.0",
        f"Host: {address.authority}",
        "User-Agent: Mailward",
        "Allow: 204",
        *([] if preview is None else [f"Preview: {preview}"]),
        f"Encapsulated: {encapsulated}",
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + content


@frozen
class Answer:
    """A whole answer. ``http`` is the encapsulated head, ``body`` the content after it, None where there is none.

    ``complete``: the content was sent to its end. ``same``: ``body`` is that content.
    """

    head: Head
    http: str = ""
    body: bytes | None = field(default=None, repr=False)
    complete: bool = True
    same: bool = False


_STATUSES: dict[int, Report] = {
    400: unchecked(Fault.SCANNER, "the ICAP server does not understand the request (400)"),
    403: unchecked(Fault.SCANNER, "the ICAP server forbids the request (403)"),
    404: unchecked(Fault.SCANNER, "the ICAP server has no such service (404)"),
    405: unchecked(Fault.SCANNER, "the ICAP service does not offer the method (405)"),
    408: unchecked(Fault.SCANNER, "the ICAP server gave up waiting (408)"),
    413: unchecked(Fault.LIMIT, "too large for the scanner (413)"),
}


def judge(answer: Answer) -> Report:
    """The report that an answer is. Only an unhurried 204 and the same content again are clear."""
    found = _found(answer)
    if found is not None:
        return found
    status = answer.head.status
    if status in (200, 204) and not answer.complete:
        return unchecked(Fault.CONTENT, "the ICAP service answered before it had the content")
    if status == 204:
        return Report()
    if status != 200:
        return _STATUSES.get(status, unchecked(Fault.SCANNER, f"the ICAP server answered {status}"))
    http = _HTTP_STATUS.match(answer.http)
    if answer.same and (http is None or http[1] == "200"):
        return Report()
    if http is not None and int(http[1]) >= 400:
        return Report(ScanStatus.SUSPICIOUS, "", f"blocked by the ICAP service ({http[1]})")
    return Report(ScanStatus.SUSPICIOUS, "", "changed by the ICAP service, which does not say why")


def _found(answer: Answer) -> Report | None:
    """What the fields of the answer say was found; None where they say nothing."""
    fields = answer.head.fields
    infection = fields.get("x-infection-found")
    if infection is not None:
        match = _INFECTION.match(infection)
        return _infection(answer, *match.groups()) if match else named(_clean(infection) or "unnamed")
    if name := _clean(fields.get("x-virus-id", "")):
        return named(name)
    if violations := fields.get("x-violations-found"):
        return _violations(violations)
    return None


def _infection(answer: Answer, kind: str, resolution: str, threat: str) -> Report:
    """X-Infection-Found: type 0 infection, 1 policy, 2 container; resolution 1 repaired."""
    name = _clean(threat)
    if kind == "1":
        return Report(ScanStatus.SUSPICIOUS, name, "against the policy of the ICAP service")
    if kind == "2":
        return unchecked(Fault.LIMIT, "a container that the ICAP service did not open", name)
    report = named(name)
    if resolution == "1" and report.status is ScanStatus.INFECTED and answer.body is not None:
        return Report(ScanStatus.DISINFECTED, name, "repaired by the ICAP service", repaired=answer.body)
    return report


def _violations(text: str) -> Report | None:
    """X-Violations-Found: a number, then for each violation file, name, id and resolution on lines of their own."""
    lines = text.split("\n")
    if lines[0].strip() == "0":
        return None
    name = _clean(lines[2]) if len(lines) > 2 else ""
    return named(name or "unnamed")


def _clean(text: str) -> str:
    return _NAME.sub("", text).strip()[:200]


def services(instance: object, attribute: Any, texts: Sequence[str]) -> None:
    """A validator: every text is the address of a service."""
    for text in texts:
        IcapAddress.parse(text)
