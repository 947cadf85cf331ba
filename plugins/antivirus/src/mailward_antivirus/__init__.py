"""Virus scanning for Mailward: built-in signatures and clamd (SAV-AV, SMS-AV-02, KAV-SCN, KAV-TST-02).

Every part is asked of every engine; what an engine says is a `Report`, and the settings say what
each kind of report does to the part or the message. What could not be checked is never clean.
"""

from mailward_antivirus.clamd import Clamd
from mailward_antivirus.plugin import Antivirus
from mailward_antivirus.report import Engine, Fault, Report, ScanStatus
from mailward_antivirus.settings import AntivirusSettings
from mailward_antivirus.signatures import Signatures

__version__ = "0.1.0"

__all__ = ["Antivirus", "AntivirusSettings", "Clamd", "Engine", "Fault", "Report", "ScanStatus", "Signatures"]
