"""Definitions: versioned sets of signatures, rules and data files, proved before they are used (IMA-UPD-02).

folder      `Definitions`: what is in a set, read from a folder and checked against its manifest
samples     self-test samples, and whether a set finds them
shelf       `Shelf`: the sets on disk, which one is in use, and the one before it
watch       notices that another set came into use, and loads it while the old one serves
"""

from mailward_antivirus.definitions.folder import NO_DEFINITIONS, DefinitionError, Definitions

__all__ = ["NO_DEFINITIONS", "DefinitionError", "Definitions"]
