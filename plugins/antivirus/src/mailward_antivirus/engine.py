"""What plugs into this plugin: engines that judge content, repairers that mend it, and how both are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import field, frozen

from mailward import Context, Part
from mailward_antivirus.definitions import NO_DEFINITIONS, Definitions
from mailward_antivirus.report import Report
from mailward_antivirus.settings import AntivirusSettings


class Engine(Protocol):
    """Something that judges parts, each decoded, each once.

    Where `version` is not empty only the content may matter, never where it stands: what is said about it
    then holds for every part that has it. An engine answers every question with a report; it raises only
    where it is broken, and then the part is unchecked (KAV-SCN-08).
    """

    @property
    def name(self) -> str:
        """The engine's name: the rule in findings and log."""
        ...

    @property
    def at_once(self) -> int:
        """How many contents of one message may be scanned at a time.

        1 for what only computes: it is asked about every part. Others are asked once for each content.
        """
        ...

    async def version(self) -> str:
        """Definitions and options in one text, so that answers can be kept (KAV-ICH-02); asked once a message.

        Empty: answers are never kept, because more than the content matters, or because asking is cheaper.
        """
        ...

    async def scan(self, part: Part) -> Report:
        """Judge ``part``."""
        ...

    def close(self) -> None:
        """End what is kept open between parts; the engine may be asked again after it."""
        ...


@frozen
class Treatment:
    """What came of a repair: the content without what was found, or None and the reason why there is none."""

    content: bytes | None = field(default=None, repr=False)
    detail: str = ""


class Repairer(Protocol):
    """Something that takes out of a content what makes it dangerous (SAV-AV-04).

    Repairers are asked in order; what one gives is scanned again by all engines before it is believed.
    """

    @property
    def name(self) -> str:
        """The repairer's name, for log and findings."""
        ...

    def accepts(self, part: Part, report: Report) -> bool:
        """Whether it can try: a quick look at type and report, nothing is opened."""
        ...

    async def repair(self, part: Part, report: Report) -> Treatment:
        """Try it. What cannot be repaired is said in the treatment's ``detail``, never guessed."""
        ...


@frozen
class Surroundings:
    """What engines and repairers are made from: settings, the definitions in use, and the plugin's context."""

    settings: AntivirusSettings
    context: Context
    definitions: Definitions = NO_DEFINITIONS


EngineFactory = Callable[[Surroundings], Sequence[Engine]]
"""Makes engines, none where the settings leave them out; ValueError where they cannot be carried out."""

RepairerFactory = Callable[[Surroundings], Sequence[Repairer]]
"""Makes repairers, none where the settings leave them out."""
