"""Content rules for Mailward (SAV-BLK, SMS-CONT, SMS-RULE, SMS-SET-05, KAV-SCN-06): what a message may hold.

One module for each kind of rule; `ContentFilter` asks those that are switched on and turns what they
find into findings with the action of the settings.
"""

from mailward_content.plugin import ContentFilter
from mailward_content.rule import Hit, Rule
from mailward_content.settings import ContentSettings

__version__ = "0.1.0"

__all__ = ["ContentFilter", "ContentSettings", "Hit", "Rule"]
