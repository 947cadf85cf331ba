"""PDF: scripts, actions that act, embedded files and forms in XML are taken out; pages stay."""

from __future__ import annotations

import io
import logging
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
            for count, item in enumerate(document.objects):
                if count > MAX_OBJECTS:
                    raise CannotDisarm("too many objects")
                if isinstance(item, pikepdf.Dictionary | pikepdf.Stream):
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

    for key in ("/OpenAction", "/A", "/AA", "/PA", "/Next"):
        inner = item.get(key)
        if isinstance(inner, pikepdf.Dictionary) and key != "/AA" and (what := _what_it_does(inner)):
            del item[key]
            removed[what] = None
        elif isinstance(inner, pikepdf.Array) and key == "/Next":
            del item[key]
        elif key == "/AA" and inner is not None:
            del item[key]
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
    return _ACTS.get(str(action.get("/S", "")), "") if action.get("/Type", "/Action") == "/Action" else ""


def _defuse(action: Any) -> None:
    import pikepdf

    for key in list(action.keys()):
        if key not in ("/Type",):
            del action[key]
    action["/S"] = pikepdf.Name("/Named")
    action["/N"] = pikepdf.Name("/Nothing")
