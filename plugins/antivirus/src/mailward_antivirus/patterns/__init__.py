"""Byte patterns in the form of ClamAV's extended signatures (.ndb), matched in one pass.

body        the hexadecimal body: bytes, wildcards, alternatives, gaps → runs of atoms
signature   a line of an .ndb file: name, target, offset, body
executable  where the entry point and the sections of PE and ELF files stand
place       where a signature may begin in one content, by its offset
passes      the one pass over the pieces of all signatures
matcher     all signatures together: the pass, then a look around each hit
"""

from mailward_antivirus.patterns.body import PatternError, Unsupported
from mailward_antivirus.patterns.matcher import Found, PatternSet
from mailward_antivirus.patterns.passes import TooManyHits
from mailward_antivirus.patterns.signature import Signature, parse_line

__all__ = ["Found", "PatternError", "PatternSet", "Signature", "TooManyHits", "Unsupported", "parse_line"]
