"""``mailward scan``: judge files as the gateway would, and deliver nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen
from rich.text import Text
from rich.tree import Tree

from mailward.cli.options import address, config_option, json_option
from mailward.cli.output import FOUND, OK, UNDECIDED, console, print_json, text

if TYPE_CHECKING:
    from mailward.engine.engine import Engine
    from mailward.mime import Message, Part
    from mailward.values.address import Address
    from mailward.values.decision import Copy, Verdict
    from mailward.values.envelope import Envelope
    from mailward.values.finding import Finding

_DEFINITE = frozenset(("infected", "suspicious", "spam", "content", "filtered", "refused", "malformed"))
_STYLES = {
    **dict.fromkeys(("infected", "suspicious", "spam", "content", "filtered", "refused", "failure"), "failure"),
    **dict.fromkeys(("encrypted", "unchecked", "limit", "ambiguous", "malformed"), "warning"),
    "note": "dim",
}


@frozen
class PartLine:
    """What is shown of one part, taken before the message is closed."""

    path: str
    depth: int
    names: tuple[str, ...]
    declared: str
    detected: str
    size: int


@frozen
class Scanned:
    """What became of one file: a verdict with its parts, or the problem that kept it from one."""

    file: str
    verdict: Verdict | None = None
    parts: tuple[PartLine, ...] = ()
    problem: str = ""

    @property
    def status(self) -> int:
        """The exit status for this file alone."""
        if self.verdict is None:
            return UNDECIDED
        statuses = [_status(copy) for copy in self.verdict.copies]
        return FOUND if FOUND in statuses else max(statuses, default=OK)


def _status(copy: Copy) -> int:
    kinds = {str(finding.kind) for finding in copy.findings if not finding.shadow} - {"note"}
    if kinds & _DEFINITE:
        return FOUND
    if kinds:
        return UNDECIDED
    return OK if copy.clean and copy.action.name == "deliver" else FOUND


@click.command(short_help="Judge message files; deliver nothing.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@config_option
@click.option("--sender", type=address, default="", metavar="ADDRESS", help="Envelope sender; default: null.")
@click.option(
    "--recipient", "recipients", type=address, multiple=True, metavar="ADDRESS", help="Recipient; repeatable."
)
@json_option
@click.pass_context
def scan(
    ctx: click.Context,
    files: tuple[str, ...],
    config: Path | None,
    sender: Address,
    recipients: tuple[Address, ...],
    as_json: bool,
) -> None:
    """Judge each FILE (- for standard input) and show its parts, the findings and the verdict.

    A file holds one message; line ends may be CRLF or LF. The policies of the configuration apply
    by --sender and --recipient.

    Exit status: 0 all clean, 1 something was found, 3 something could not be checked (and nothing
    was found), 2 wrong usage or configuration.

    \b
    Examples:
      mailward scan message.eml
      mailward scan --recipient cfo@finance.example.com -c mailward.toml *.eml
      mailward scan --json - < message.eml
    """
    results = asyncio.run(_scan_all(files, config, sender, recipients))
    if as_json:
        print_json([_plain(result) for result in results])
    else:
        out = console()
        for result in results:
            out.print(_tree(result))
    statuses = [result.status for result in results]
    ctx.exit(FOUND if FOUND in statuses else max(statuses))


async def _scan_all(
    files: Iterable[str], config: Path | None, sender: Address, recipients: tuple[Address, ...]
) -> list[Scanned]:
    from mailward.engine.bridge import TimerBridge
    from mailward.engine.config import load_config
    from mailward.engine.engine import Engine
    from mailward.engine.log import configure
    from mailward.values.envelope import Envelope, Recipient, Sender

    settings = load_config(config)
    configure(settings.core.log)
    async with Engine(settings, bridge=TimerBridge()) as engine:
        to = tuple([await _located(engine, Recipient(address)) for address in recipients])
        envelope = Envelope(sender=Sender(sender), recipients=to)
        return [await _scan(engine, file, evolve(envelope, id=file)) for file in files]


async def _located(engine: Engine, recipient: Any) -> Any:
    return evolve(recipient, local=await engine.gate.locality(recipient))


async def _scan(engine: Engine, file: str, envelope: Envelope) -> Scanned:
    from mailward.mime import Message
    from mailward.values.errors import ScanError

    limits = engine.config.core.limits
    try:
        if file == "-":
            message = Message.from_bytes(sys.stdin.buffer.read(), limits)
        else:
            message = Message.from_file(file, limits)
        with message:
            verdict = await engine.judge(envelope, message)
            return Scanned(file, verdict, tuple(_parts(message)))
    except ScanError as error:
        return Scanned(file, problem=f"not checked to the end: {error}")
    except OSError as error:
        return Scanned(file, problem=f"cannot be read: {error.strerror or error}")


def _parts(message: Message) -> Iterable[PartLine]:
    for part in message.walk():
        names = tuple(dict.fromkeys(name.text for name in part.names if name.text))
        yield PartLine(part.path, part.depth, names, part.declared_type, _detected(part), part.size)


def _detected(part: Part) -> str:
    return "" if part.opaque or not part.is_leaf else part.detected_type


def _plain(result: Scanned) -> dict[str, Any]:
    from mailward.values.wire import plain

    return {
        "file": result.file,
        "status": {OK: "clean", FOUND: "found", UNDECIDED: "unchecked"}[result.status],
        "problem": result.problem,
        "parts": [plain(part) for part in result.parts],
        "verdict": plain(result.verdict) if result.verdict else None,
    }


def _tree(result: Scanned) -> Tree:
    root = Tree(text(result.file, "bold"), guide_style="dim")
    verdict = result.verdict
    if verdict is None:
        root.add(text(result.problem, "failure"))
        return root
    findings = list(dict.fromkeys(finding for copy in verdict.copies for finding in copy.findings))
    branches: dict[int, Tree] = {}
    paths = {part.path for part in result.parts}
    for part in result.parts:
        branch = branches.get(part.depth - 1, root).add(_part_text(part))
        branches[part.depth] = branch
        for finding in findings:
            if finding.part == part.path:
                branch.add(_finding_text(finding))
    for finding in findings:
        if finding.part not in paths:
            root.add(_finding_text(finding))
    for copy in verdict.copies:
        root.add(_verdict_text(copy, verdict.elapsed_ms))
    return root


def _part_text(part: PartLine) -> Text:
    kind = part.declared or part.detected or "content"
    if part.detected and part.detected != kind:
        kind = f"{kind}, detected {part.detected}"
    label = Text.assemble(text(part.path or "message", "bold"), "  ", text(kind, "dim"), f"  {part.size:,} bytes")
    return label.append(f"  {text(', '.join(part.names))}" if part.names else "")


def _finding_text(finding: Finding) -> Text:
    said = " ".join(word for word in (finding.name, f"({finding.detail})" if finding.detail else "") if word)
    mark = " [shadow: not applied]" if finding.shadow else ""
    action = f" → {finding.action}" if finding.action else ""
    style = "dim" if finding.shadow else _STYLES.get(str(finding.kind), "")
    return text(f"{finding.kind}: {finding.plugin}.{finding.rule} {said}{action}{mark}".rstrip(), style)


def _verdict_text(copy: Copy, elapsed_ms: float) -> Text:
    status = _status(copy)
    style = {OK: "ok", FOUND: "failure", UNDECIDED: "warning"}[status]
    made = Text.assemble("verdict: ", text(copy.action, style))
    if copy.splices:
        made.append(f", {len(copy.splices)} edit{'s' if len(copy.splices) != 1 else ''}")
    decided = copy.decided_by
    if decided is not None:
        made.append(text(f"  by {decided.plugin}: {decided.reason}" if decided.reason else f"  by {decided.plugin}"))
    if copy.policy != "default":
        made.append(text(f"  policy {copy.policy}"))
    if copy.recipients:
        made.append(text(f"  for {', '.join(str(one.address) for one in copy.recipients)}"))
    return made.append(f"  {elapsed_ms:.1f} ms")
