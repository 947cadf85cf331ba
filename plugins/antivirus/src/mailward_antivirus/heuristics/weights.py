"""What each trait weighs. The page docs/heuristics.md is drawn from this table."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from mailward_antivirus.heuristics.level import Level

THRESHOLDS: Mapping[Level, float] = {Level.LOW: 100.0, Level.MEDIUM: 70.0, Level.HIGH: 40.0}
"""The weight at which a part counts as suspicious, by level."""


@frozen
class Weight:
    """The weight of a trait, and what it is, for people."""

    weight: float
    meaning: str


TRAITS: Mapping[str, Weight] = {
    # names
    "double_extension": Weight(60, "a document's extension stands before that of a program or script"),
    "hidden_extension": Weight(60, "blanks or invisible characters push the real extension out of sight"),
    "bidirectional_name": Weight(70, "characters turn the direction of writing, so that the extension shows wrong"),
    "disguised_program": Weight(70, "a program by its content, something else by its name or declared type"),
    "disguised_content": Weight(30, "the content is of another kind than name or declared type say"),
    # programs
    "program": Weight(40, "a program by its content (PE, ELF, Mach-O), whatever its name"),
    "program_packed": Weight(30, "its code is packed or encrypted"),
    "program_odd_header": Weight(25, "its header is one that compilers do not write"),
    # scripts and what starts programs
    "script": Weight(35, "a script that runs when it is opened"),
    "script_encoded": Weight(50, "a script in Microsoft's encoded form"),
    "script_runs": Weight(30, "it starts programs or runs text as code"),
    "script_fetches": Weight(30, "it fetches from a network"),
    "script_hides": Weight(35, "it hides what it does: long strings of codes, encoded commands, hidden windows"),
    "shortcut": Weight(30, "a Windows shortcut"),
    "shortcut_runs": Weight(70, "a shortcut to an interpreter or to a host on the network"),
    "shortcut_hides": Weight(30, "a shortcut with arguments too long to show"),
    "launcher": Weight(35, "a file that starts something else: a library, ClickOnce, a console, a connection, a query"),
    "launcher_runs": Weight(50, "such a file that runs a command, or leads to another host"),
    "link_file": Weight(20, "an Internet shortcut"),
    "link_runs": Weight(70, "an Internet shortcut to a program, or to a file on another host"),
    "note_embeds": Weight(20, "a OneNote page with embedded files"),
    "note_program": Weight(80, "a OneNote page with an embedded program or script"),
    "disk_image": Weight(30, "an image of a disk: what it holds escapes marks of origin"),
    "disk_image_packed": Weight(20, "the image is inside an archive"),
    "disk_image_program": Weight(40, "the image holds a program, script or shortcut"),
    # Office
    "macro": Weight(20, "macros (VBA)"),
    "macro_starts": Weight(30, "a macro runs by itself when the document is opened or closed"),
    "macro_runs": Weight(30, "a macro starts programs or calls the system"),
    "macro_fetches": Weight(30, "a macro fetches from a network"),
    "macro_writes": Weight(10, "a macro writes files"),
    "macro_hides": Weight(20, "a macro hides what it does"),
    "macro_unreadable": Weight(40, "there are macros whose source cannot be read"),
    "xlm_macro": Weight(40, "Excel 4 macros"),
    "xlm_starts": Weight(30, "an Excel 4 macro runs by itself"),
    "xlm_runs": Weight(40, "an Excel 4 macro starts programs, calls the system or writes files"),
    "xlm_hidden": Weight(20, "the sheet with the macros is hidden"),
    "dde": Weight(70, "a field or formula that starts a program through DDE"),
    "action_runs": Weight(70, "a slide starts a program when something on it is clicked or pointed at"),
    "external_template": Weight(60, "the document loads its template from another host"),
    "external_object": Weight(40, "the document loads an object from another host"),
    "external_moniker": Weight(100, "the link to the object is one that runs code (html:, script:, mhtml:)"),
    "embedded_object": Weight(10, "an embedded object"),
    "embedded_program": Weight(80, "an embedded program, script or shortcut"),
    "equation": Weight(60, "an object of the old equation editor, known for its holes"),
    "default_password": Weight(70, "encrypted with the password that its program tries by itself"),
    "activex": Weight(15, "ActiveX controls"),
    # RTF
    "rtf_object": Weight(10, "an object in RTF"),
    "rtf_object_starts": Weight(60, "an object that RTF activates by itself"),
    "rtf_hides": Weight(40, "RTF written so that filters stumble over it"),
    # PDF
    "pdf_script": Weight(30, "JavaScript"),
    "pdf_starts": Weight(25, "an action runs when the document is opened"),
    "pdf_launch": Weight(80, "an action starts a program"),
    "pdf_embeds": Weight(10, "embedded files"),
    "pdf_program": Weight(80, "an embedded program or script"),
    "pdf_submits": Weight(20, "it sends form data to a host"),
    "pdf_hides": Weight(60, "names that matter are written in codes"),
    "pdf_unreadable": Weight(20, "its structure is damaged"),
    # HTML as an attachment
    "html_script": Weight(15, "scripts in an attached page or picture"),
    "html_smuggles": Weight(75, "a script builds a file out of encoded data and saves it"),
    "html_hides": Weight(40, "a script unpacks its own text"),
    "html_asks_password": Weight(50, "a form asks for a password"),
    "html_submits": Weight(20, "a form of an attachment sends to another host"),
    "html_redirects": Weight(20, "it leads elsewhere by itself"),
    # archives
    "password_in_text": Weight(70, "an encrypted archive whose password stands in the message"),
    "polyglot": Weight(60, "two kinds of content in one file"),
    "disagreeing_headers": Weight(60, "an archive whose headers disagree about what is in it"),
    "appended_data": Weight(20, "data behind the end of the content"),
    "not_all_read": Weight(20, "so large that its end is not looked at"),
}
