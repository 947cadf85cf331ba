"""What the exit statuses of the commands mean."""

from __future__ import annotations

OK = 0
FOUND = 1
FAILED = 1
USAGE = 2
UNDECIDED = 3

EXIT_HELP = """\
\b
Exit status of every command:
  0  done; clean; accepted; all checks passed
  1  something was found, refused or failed
  2  wrong usage or wrong configuration
  3  could not be decided: not scanned to the end, server not reached"""
