"""Readers of archives and other containers for Mailward: one module a format, one table, one hook.

`Archives` looks the reader up by the type that the content shows, never by a name alone. Readers
hand members over as they read them; how deep, how many, how large is for the core to limit.
"""

from mailward_archives.plugin import Archives
from mailward_archives.settings import ArchivesSettings

__version__ = "0.1.0"

__all__ = ["Archives", "ArchivesSettings"]
