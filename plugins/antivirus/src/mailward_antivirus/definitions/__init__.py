"""Definitions: versioned sets of signatures, rules and data files, proved before they are used (IMA-UPD-02).

folder      `Definitions`: what is in a set, read from a folder and checked against its manifest
shelf       `Shelf`: the sets on disk, which one is in use, and the one before it
"""

from mailward_antivirus.definitions.folder import NO_DEFINITIONS, DefinitionError, Definitions

__all__ = ["NO_DEFINITIONS", "DefinitionError", "Definitions"]
