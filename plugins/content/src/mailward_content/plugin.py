"""The content plugin: rules asked, hits made findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mailward import Action, Finding, Kind, Message, Placeholder, Plugin, Scan, Template, hookimpl, printable
from mailward_content.file_names import FileNames
from mailward_content.rule import Hit, Rule
from mailward_content.settings import ContentSettings


class ContentFilter(Plugin):
    """Judges messages by what they hold, without opening it a second time (SAV-BLK, SMS-CONT)."""

    Settings = ContentSettings
    version: ClassVar[str] = "0.1.0"

    settings: ContentSettings
    rules: tuple[Rule, ...]

    def setup(self) -> None:
        """Make the rules that are enabled."""
        chosen = self.settings
        if chosen.block_names and not chosen.names:
            raise ValueError(
                "names is empty while block_names is on; allowed: at least one mask, or block_names = false"
            )
        self.rules = (FileNames(chosen.names, chosen.on_name, chosen.name_text),) if chosen.block_names else ()

    @hookimpl
    def scan_message(self, message: Message, scan: Scan) -> Iterator[Finding]:
        """A finding for each hit of each rule, with the action of the settings."""
        for rule in self.rules:
            for hit in rule.look(message):
                action = self._with_text(rule, hit)
                yield self.finding(
                    rule.name, hit.part, kind=Kind.CONTENT, name=hit.name, detail=hit.detail, action=action
                )

    def _with_text(self, rule: Rule, hit: Hit) -> Action:
        """The action of the rule, the text of its placeholder rendered."""
        if not isinstance(rule.action, Placeholder):
            return rule.action
        template = Template(rule.action.text) if rule.action.text else rule.text
        text = template.render(
            filename=printable(hit.part.filename or ""),
            mask=hit.name,
            part=printable(hit.part.path),
            hostname=self.context.hostname,
        )
        return Placeholder(text=text)
