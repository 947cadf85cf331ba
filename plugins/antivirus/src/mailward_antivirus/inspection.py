"""What ``mailward check`` is told: whether the scanners answer, and what is known without them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from mailward import Check
from mailward_antivirus.central import Spool, spool_folder
from mailward_antivirus.heuristics.level import Level
from mailward_antivirus.heuristics.libraries import missing
from mailward_antivirus.remote import Remote
from mailward_antivirus.rules import Central
from mailward_antivirus.signatures import Signatures
from mailward_antivirus.supply import Supply


async def checks(supply: Supply) -> AsyncIterator[Check]:
    """One row for each scanner, for signatures, definitions, and the answers that are kept."""
    known = scanners = 0
    unsupported: tuple[tuple[str, int], ...] = ()
    for engine in supply.equipment.engines:
        if isinstance(engine, Remote):
            for server in engine.servers:
                scanners += 1
                up = await server.well()
                detail = f"{engine.name} at {server} {'answers' if up else 'does not answer'}"
                advice = f"start it, or correct antivirus.{engine.name}; while none answers, on_unavailable applies"
                yield Check(engine.name, up, detail, advice)
        elif isinstance(engine, Signatures):
            known, unsupported = len(engine.known), engine.known.unsupported
    detail = f"{known} signatures{' and the EICAR test file' if supply.settings.eicar else ''}"
    advice = "name lists in antivirus.signatures, load definitions, or name a scanner in antivirus.clamd"
    yield Check("signatures", bool(known or scanners), detail, advice, warning=True)
    kept = [engine for engine in supply.equipment.engines if await engine.version()]
    cached = _cache(supply) if kept and supply.settings.scan_cache_bytes else ()
    rows = (*_unsupported(unsupported), *_definitions(supply), *_libraries(supply), *cached, _central(supply))
    for row in rows:
        yield row


_CENTRAL = {Central.NOTHING: "disabled", Central.UNREPAIRED: "unrepairable files", Central.ALL: "all files"}


def _central(supply: Supply) -> Check:
    """What goes to the central quarantine, in the words of SAV-QTN-03, where to, and what waits for it."""
    settings, name = supply.settings, "central quarantine"
    status = _CENTRAL[settings.central]
    if settings.central is Central.NOTHING:
        return Check(name, True, status)
    try:
        waiting = len(Spool(spool_folder(supply.context), settings.central_backlog_bytes).items())
    except OSError as error:
        advice = "let the gateway's user read and write that folder"
        return Check(name, False, f"{status}; what waits cannot be read: {error.strerror or error}", advice)
    return Check(name, True, f"{status}, to {settings.central_to}; {waiting} wait")


def _unsupported(features: tuple[tuple[str, int], ...]) -> Iterator[Check]:
    if features:
        detail = "not carried out: " + ", ".join(f"{count} with {feature}" for feature, count in features)
        yield Check("signatures", False, detail, "give these lists to a clamd", warning=True)


def _definitions(supply: Supply) -> Iterator[Check]:
    if supply.problem:
        yield Check("definitions", False, supply.problem, "load a set that is whole: mailward definitions load FOLDER")
    elif supply.trouble:
        yield Check("definitions", False, supply.trouble, "load a set that is whole: mailward definitions load FOLDER")
    elif supply.equipment.definitions:
        yield Check("definitions", True, f"version {supply.equipment.definitions.version}")


def _libraries(supply: Supply) -> Iterator[Check]:
    absent = missing() if supply.settings.heuristics is not Level.OFF else ()
    if absent:
        detail = f"not installed, so that the heuristics look less deep: {', '.join(absent)}"
        yield Check("heuristics", False, detail, "install mailward-antivirus[office,pdf,html]", warning=True)


def _cache(supply: Supply) -> Iterator[Check]:
    cache = supply.cache()
    if cache is not None:
        figures = cache.figures()
        asked = figures.hits + figures.misses
        share = f", {100 * figures.hits / asked:.0f}% of {asked}" if asked else ""
        yield Check("scan cache", True, f"{figures.hits} answers kept and used again{share}")
