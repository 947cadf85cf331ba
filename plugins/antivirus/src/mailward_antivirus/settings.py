"""The settings of the antivirus plugin."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mailward import (
    Action,
    ByteSize,
    Defer,
    Delete,
    Deliver,
    Drop,
    Hold,
    Masks,
    Repair,
    Seconds,
    Template,
    between,
    setting,
)
from mailward_antivirus import rules
from mailward_antivirus.clamd_address import addresses
from mailward_antivirus.command_settings import CommandSettings
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.icap_message import services
from mailward_antivirus.rules import Choice, Use

REPLACEMENT = (
    '{{ filename or "A part of this message" }} was removed by {{ hostname }}: '
    "{{ reason }}{% if virus %} ({{ virus }}){% endif %}.\n"
)


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
    scan: Choice = setting(
        Choice.ALL, help="which files are scanned: all, only those with, or all but those with one of extensions"
    )
    extensions: tuple[str, ...] = setting(
        (), validator=rules.extensions, help='list for scan: ".exe", "" for files without one, or ".com;.exe;;"'
    )
    open_excluded_containers: bool = setting(
        True, help="scan the members of a container whose own extension is left out"
    )
    scan_names: Masks = setting(Masks(), help="only parts of these file names are scanned; empty: all")
    skip_names: Masks = setting(Masks(), help="parts of these file names are not scanned")
    scan_types: Masks = setting(Masks(), help="only parts of these MIME types are scanned; empty: all")
    skip_types: Masks = setting(Masks(), help="parts of these MIME types are not scanned")
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
