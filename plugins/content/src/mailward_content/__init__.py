"""Content rules for Mailward (SAV-BLK, SMS-CONT): what a message may hold, whatever a scanner says of it.

One module for each kind of rule; `ContentFilter` asks those that are enabled and turns what they
find into findings with the action of the settings.
"""

from mailward_content.plugin import ContentFilter
from mailward_content.rule import Hit, Rule
from mailward_content.settings import ContentSettings

__version__ = "0.1.0"

__all__ = ["ContentFilter", "ContentSettings", "Hit", "Rule"]
