"""The settings of the antivirus plugin."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mailward import (
    Action,
    Address,
    ByteSize,
    Defer,
    Delete,
    Deliver,
    Drop,
    Hold,
    Repair,
    Seconds,
    Secret,
    Template,
    between,
    setting,
)
from mailward_antivirus import rules
from mailward_antivirus.clamd_address import addresses
from mailward_antivirus.command_settings import CommandSettings
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.icap_message import services
from mailward_antivirus.rules import Central, Choice, Named, Use

REPLACEMENT = (
    '{{ filename or "A part of this message" }} was removed by {{ hostname }}: '
    "{{ reason }}{% if virus %} ({{ virus }}){% endif %}.\n"
)
BODY_TEXT = '{{ filename or "A part of this message" }} {{ done }} by {{ hostname }}: it contained {{ virus }}.\n'


@frozen
class AntivirusSettings:
    """``[antivirus]``: what is scanned by, and what happens to what is found."""

    on_infected: tuple[Action, ...] = setting(
        (Repair(), Delete()),
        validator=rules.chain,
        help="what happens to an infected part: repair, then one other action",
    )
    on_unremoved: Action = setting(
        Drop(),
        validator=rules.whole,
        help="what happens to a message whose infected part was neither repaired nor removed",
    )
    on_suspicious: Action = setting(
        Hold(),
        validator=rules.one,
        help="what happens to what may be a virus without being a known one; what repair cannot mend is treated as "
        "infected",
    )
    on_encrypted: Action = setting(
        Delete(), validator=rules.not_repair, help="what happens to a part that a scanner reports as encrypted"
    )
    on_unchecked: Action = setting(
        Hold(),
        validator=rules.not_repair,
        help="what happens to a part that cannot be scanned: too large, damaged, slow",
    )
    on_unavailable: Action = setting(
        Defer(), validator=rules.not_repair, help="what happens while a scanner is down or not well"
    )
    on_filtered: Action = setting(
        Deliver(), validator=rules.not_repair, help="what happens to a part that is not scanned by choice"
    )
    replacement: Template = setting(
        Template(REPLACEMENT),
        help="text of a placeholder without one of its own; names: filename, virus, reason, part, hostname",
    )
    tell_in_body: bool = setting(
        False, help="say in the body of a message what was taken out of it or repaired (SMS-AV-03)"
    )
    body_text: Template = setting(
        Template(BODY_TEXT), help="text for tell_in_body; names: filename, virus, part, done, hostname"
    )
    block: tuple[Named, ...] = setting(
        (), validator=rules.statuses, help="statuses of which a message is not delivered, whatever is done to its parts"
    )
    block_action: Action = setting(Drop(), validator=rules.whole, help="what happens to a message that is blocked")
    keep_copies: tuple[Named, ...] = setting(
        (), validator=rules.statuses, help="statuses of which the message as it came is kept, with a record"
    )
    quarantine_path: Path = setting(Path(), help="folder of copies of infected messages; empty: in the plugin's store")
    backup_path: Path = setting(Path(), help="folder of copies of other messages; empty: in the plugin's store")
    central: Central = setting(
        Central.NOTHING, help="infected parts that go to the central quarantine: none, those not repaired, or all"
    )
    central_to: str = setting(
        "", validator=rules.central_to, help="the central quarantine: https://host/path, or a folder"
    )
    central_token: Secret = setting(Secret(), help="bearer token for the central quarantine")
    central_ca: Path = setting(Path(), help="file of certificates to trust there; empty: those of the system")
    central_backlog_bytes: ByteSize = setting(
        ByteSize(256 * 1024 * 1024),
        validator=between(1024 * 1024, 2**40),
        help="most that waits for the central quarantine; what does not fit is not sent, with an event",
    )
    outbreak_recipients: tuple[Address, ...] = setting(
        (), help="whom an outbreak is told; empty: outbreaks are not looked for"
    )
    outbreak_messages: int = setting(
        50, validator=between(2, 10_000), help="infected messages within outbreak_window_s that are an outbreak"
    )
    outbreak_window_s: Seconds = setting(
        Seconds(3600.0), validator=between(60, 30 * 86_400), help="the time in which they come"
    )
    scan: Choice = setting(
        Choice.ALL, help="which files are scanned: all, only those with, or all but those with one of extensions"
    )
    extensions: tuple[str, ...] = setting(
        (), validator=rules.extensions, help='list for scan: ".exe", "" for files without one, or ".com;.exe;;"'
    )
    open_excluded_containers: bool = setting(
        True, help="scan the members of a container whose own extension is left out"
    )
    heuristics: Level = setting(
        Level.MEDIUM, help="how suspicious the heuristics are: off, low, medium, high; higher finds more, also harmless"
    )
    disarm: bool = setting(
        True, help="repair by taking out what acts: macros, scripts, embedded objects, links that load from elsewhere"
    )
    eicar: bool = setting(True, help="find the EICAR test file, and its variants with a prefix")
    signatures: tuple[Path, ...] = setting((), help="signatures in ClamAV's .hdb, .hsb and .ndb forms")
    definitions: Use = setting(
        Use.OPTIONAL, help="sets of definitions: not used, used where there is one, or nothing is clean without one"
    )
    mass_mailers: bool = setting(True, help="drop a message whose virus mails itself, by its name")
    on_mass_mailer: Action = setting(
        Drop(), validator=rules.whole, help="what happens to a message with a virus that mails itself"
    )
    scan_cache_bytes: ByteSize = setting(
        ByteSize(16 * 1024 * 1024),
        validator=rules.none_or_between(64 * 1024, 4 * 1024**3),
        help="size of the file of answers that all scan processes share; 0: none are kept",
    )
    clamd: tuple[str, ...] = setting(
        (), validator=addresses, help="clamds in order of preference: unix:/path/of/socket or host:port"
    )
    clamd_timeout_s: Seconds = setting(
        Seconds(30.0), validator=between(0.1, 3600), help="time for one part at clamd; then it counts as unchecked"
    )
    clamd_max_bytes: ByteSize = setting(
        ByteSize(100 * 1024 * 1024),
        validator=between(1024, 4 * 1024**3),
        help="larger parts are not sent to clamd and count as unchecked; never more than clamd's own limits",
    )
    icap: tuple[str, ...] = setting(
        (), validator=services, help="ICAP services in order of preference: icap://host:port/service"
    )
    icap_timeout_s: Seconds = setting(
        Seconds(30.0), validator=between(0.1, 3600), help="time for one part at the ICAP service; then it is unchecked"
    )
    icap_max_bytes: ByteSize = setting(
        ByteSize(100 * 1024 * 1024),
        validator=between(1024, 4 * 1024**3),
        help="larger parts are not sent to the ICAP service and count as unchecked",
    )
    icap_preview: bool = setting(
        False, help="send the first bytes alone where the service wants that, and believe it where it wants no more"
    )
    commands: tuple[CommandSettings, ...] = setting((), help="command-line scanners")
    yara: tuple[Path, ...] = setting((), help="files of YARA rules (needs yara-x)")
    yara_timeout_s: Seconds = setting(
        Seconds(10.0), validator=between(1, 600), help="time for the rules on one part, in whole seconds"
    )
    yara_max_bytes: ByteSize = setting(
        ByteSize(64 * 1024 * 1024),
        validator=between(1024, 1024**3),
        help="larger parts count as unchecked by the rules",
    )

    def __attrs_post_init__(self) -> None:
        if self.central is not Central.NOTHING and not self.central_to:
            raise ValueError("central_to is empty, and central says that something is to be sent there")
