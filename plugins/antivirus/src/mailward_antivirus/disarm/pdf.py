"""PDF: scripts, actions that act, embedded files and forms in XML are taken out; pages stay."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

from mailward_antivirus.disarm.outcome import CannotDisarm, Disarmed
from mailward_antivirus.heuristics.libraries import is_here

MAX_OBJECTS = 200_000
_ACTS = {
    "/JavaScript": "scripts",
    "/Launch": "actions that start programs",
    "/SubmitForm": "actions that send data",
    "/ImportData": "actions that load data",
    "/GoToR": "links to other files",
    "/GoToE": "links to embedded files",
    "/Rendition": "media",
    "/RichMediaExecute": "media",
    "/Movie": "media",
    "/Sound": "media",
}


def disarm_pdf(content: bytes) -> Disarmed:
    """The document without what is active in it. Raises CannotDisarm."""
    if not is_here("pikepdf"):
        raise CannotDisarm("pikepdf is not installed")
    import pikepdf

    logging.getLogger("pikepdf._core").setLevel(logging.CRITICAL)
    removed: dict[str, None] = {}
    try:
        with pikepdf.open(io.BytesIO(content), suppress_warnings=True) as document:
            _catalogue(document, removed)
            for count, item in enumerate(_dictionaries(document)):
                if count > MAX_OBJECTS:
                    raise CannotDisarm("too many objects")
                _object(item, removed)
            document.remove_unreferenced_resources()
            out = io.BytesIO()
            document.save(out)
            return Disarmed(out.getvalue(), tuple(removed))
    except pikepdf.PasswordError as error:
        raise CannotDisarm("encrypted") from error
    except CannotDisarm:
        raise
    except Exception as error:  # a library that works on hostile content
        raise CannotDisarm(f"damaged: {type(error).__name__}") from error


def _dictionaries(document: Any) -> Iterator[Any]:
    """Every dictionary and stream, also those that lie within others, as they are once their holders were seen to."""
    import pikepdf

    for item in (*document.objects, document.trailer):
        within = [item]
        while within:
            one = within.pop()
            if isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
                yield one
                kids = [one[key] for key in one.keys()]  # noqa: SIM118
            else:
                kids = list(one) if isinstance(one, pikepdf.Array) else []
            within.extend(kid for kid in kids if isinstance(kid, pikepdf.Object) and not kid.is_indirect)


def _catalogue(document: Any, removed: dict[str, None]) -> None:
    root = document.Root
    names = root.get("/Names")
    if names is not None:
        for key, what in (("/JavaScript", "scripts"), ("/EmbeddedFiles", "embedded files")):
            if key in names:
                del names[key]
                removed[what] = None
    form = root.get("/AcroForm")
    if form is not None and "/XFA" in form:
        del form["/XFA"]
        removed["a form in XML"] = None
    if "/AF" in root:
        del root["/AF"]


def _object(item: Any, removed: dict[str, None]) -> None:
    import pikepdf

    for key in ("/OpenAction", "/A", "/PA", "/Next"):
        inner = item.get(key)
        if isinstance(inner, pikepdf.Dictionary) and (what := _what_it_does(inner)):
            del item[key]
            removed[what] = None
    if "/AA" in item:
        del item["/AA"]
        removed["actions that start by themselves"] = None
    if what := _what_it_does(item):
        _defuse(item)
        removed[what] = None
    elif "/JS" in item:
        del item["/JS"]
        removed["scripts"] = None
    if "/EF" in item:
        del item["/EF"]
        removed["embedded files"] = None
    if str(item.get("/Subtype", "")) in ("/RichMedia", "/Movie", "/Screen", "/FileAttachment"):
        item.Subtype = pikepdf.Name("/Text")


def _what_it_does(action: Any) -> str:
    # whatever type it says to be of: readers do not look at that
    return _ACTS.get(str(action.get("/S", "")), "")


def _defuse(action: Any) -> None:
    import pikepdf

    for key in list(action.keys()):
        if key not in ("/Type",):
            del action[key]
    action["/S"] = pikepdf.Name("/Named")
    action["/N"] = pikepdf.Name("/Nothing")
