"""House rules: payroll files do not leave the house.

Enable it in the configuration by its path; its section is named after the file:

    plugins = ["relay", "archives", "content", "antivirus", "./house_rules.py"]

    [house_rules]
    names = ["payroll*", "salaries-20??.*"]
    action = { action = "bounce", text = "Payroll data stays in the house" }
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from mailward import Action, Finding, Hold, Masks, Part, Plugin, Scan, hookimpl, setting


class NoPayroll(Plugin):
    """Payroll files do not leave the house."""

    version = "1.0"

    @frozen
    class Settings:
        """``[house_rules]``."""

        names: Masks = setting(Masks(("payroll*",)), help="file names that are kept inside")
        action: Action = setting(Hold(), help="what happens to the message")

    settings: Settings

    @hookimpl
    def scan_part(self, part: Part, scan: Scan) -> Iterator[Finding]:
        """A finding for each part that any mail client would show under such a name."""
        for name in part.names:
            mask = self.settings.names.which(name.text)
            if mask is not None and scan.envelope.leaves_the_house:
                yield self.finding("payroll", part, name=mask, detail=name.text, action=self.settings.action)
                return
