"""The proof of a set of definitions: it loads, finds its own samples, and leaves harmless ones alone.

``self-test.json`` in the set: ``[{"name": "…", "content": "<base64>", "finds": "NAME"}, …]``. A sample with
``finds`` has to be found infected or suspicious under this name; one where it is empty has to be clear.
Contents are base64, so that the set itself is no hit. Only what is in this process is asked: no clamd, no
ICAP service, no command.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from attrs import evolve, frozen

from mailward import Context, Message
from mailward_antivirus.definitions import DefinitionError, Definitions
from mailward_antivirus.definitions.folder import SELF_TEST
from mailward_antivirus.engine import Surroundings
from mailward_antivirus.equipment import Equipment
from mailward_antivirus.report import ScanStatus
from mailward_antivirus.scanning import scan_all
from mailward_antivirus.settings import AntivirusSettings

MAX_SAMPLES = 10_000


@frozen
class Sample:
    """A content, and the name under which it has to be found; empty: it is harmless."""

    name: str
    content: bytes
    finds: str


@frozen
class Proved:
    """What came of one sample: the names under which it was found."""

    sample: Sample
    found: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether that is what has to be."""
        return self.sample.finds in self.found if self.sample.finds else not self.found


def local(settings: AntivirusSettings) -> AntivirusSettings:
    """The settings without what is outside of this process."""
    return evolve(settings, clamd=(), icap=(), commands=(), signatures=(), yara=())


def samples(definitions: Definitions) -> tuple[Sample, ...]:
    """The samples of the set; none where it brings none. Raises DefinitionError."""
    text = definitions.text(SELF_TEST)
    if not text:
        return ()
    try:
        listed: Any = json.loads(text)
        if not isinstance(listed, list) or len(listed) > MAX_SAMPLES:
            raise ValueError(f"it is no list of at most {MAX_SAMPLES} samples")
        return tuple(_sample(one) for one in listed)
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise DefinitionError(f"definitions: {SELF_TEST} cannot be read: {type(error).__name__}: {error}") from error


def _sample(one: Any) -> Sample:
    name, finds = one["name"], one.get("finds", "")
    if not isinstance(name, str) or not isinstance(finds, str):
        raise ValueError("name and finds are texts")
    return Sample(name, base64.b64decode(one["content"], validate=True), finds)


def tried(definitions: Definitions, settings: AntivirusSettings, context: Context) -> tuple[Equipment, list[Proved]]:
    """Load the set and try its samples. Raises DefinitionError where it does not load."""
    # here, because `mailward --help` comes by too, and tries nothing
    from mailward_antivirus.makers import equip

    try:
        equipment = equip(Surroundings(local(settings), context, definitions))
    except ValueError as error:
        raise DefinitionError(str(error)) from error
    return equipment, list(asyncio.run(_try_all(equipment, samples(definitions))))


async def _try_all(equipment: Equipment, listed: tuple[Sample, ...]) -> list[Proved]:
    return [Proved(sample, tuple([name async for name in _names(equipment, sample)])) for sample in listed]


async def _names(equipment: Equipment, sample: Sample) -> Any:
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    with Message.from_bytes(head + sample.content) as message:
        for hit in await scan_all(equipment.engines, (message.root,)):
            if hit.report.status is not ScanStatus.CLEAR:
                yield hit.report.name


def prove(definitions: Definitions, settings: AntivirusSettings, context: Context) -> Iterator[Proved]:
    """Every sample that passed. Raises DefinitionError where the set does not load or a sample does not pass."""
    for proved in tried(definitions, settings, context)[1]:
        if not proved.passed:
            wanted = f"is not found as {proved.sample.finds!r}" if proved.sample.finds else "is harmless and found"
            said = f"; found: {', '.join(proved.found)}" if proved.found else ""
            raise DefinitionError(f"definitions: sample {proved.sample.name!r} {wanted}{said}")
        yield proved
