"""Signals that have no meaning to the program."""

from __future__ import annotations

import signal

STRAY = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO)
"""Those that would end a process, and that are sent by mistake: to other mail programs they mean something."""
