"""The keeper: ``python -m mailward.scan.keeper PARENT SETUP_FD CONTROL_FD``.

It starts the template process, waits for its end, and then ends whatever that has left behind: scan
processes, and what plugins have started in them. It does so too when the gateway ends, in whatever way.
It holds nothing, reads nothing, and imports little.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from mailward.scan.limits import end_with_parent
from mailward.scan.orphans import end, take_in

_STEP_S = 0.01
_PATIENCE_S = 3.0
_AWAITED = (signal.SIGTERM, signal.SIGCHLD)


def start(setup_fd: int, control_fd: int) -> int:
    """Start the template process; its id."""
    words = [sys.executable, "-m", "mailward.scan.template", *map(str, (os.getpid(), setup_fd, control_fd))]
    for fd in (setup_fd, control_fd):
        os.set_inheritable(fd, True)
    pid = os.posix_spawn(sys.executable, words, os.environ, setsigmask=())
    for fd in (setup_fd, control_fd):
        os.close(fd)  # the gateway is to see the end of the template process
    return pid


def keep(template: int) -> None:
    """Wait until the template process has ended; end it where this process is told to end, or its parent has."""
    while True:
        if signal.sigwait(_AWAITED) == signal.SIGTERM:
            os.kill(template, signal.SIGKILL)  # not waited for yet: the id is its own
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            if pid == template:
                return


def end_rest() -> None:
    """End all that is left; what the kernel cannot end in a few seconds (a broken disk) stays."""
    until = time.monotonic() + _PATIENCE_S
    while end(()) and time.monotonic() < until:
        time.sleep(_STEP_S)


def main() -> None:
    """Run on the descriptors that the command line names."""
    parent, setup_fd, control_fd = map(int, sys.argv[1:])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who started the program may have ignored it
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    take_in()
    template = start(setup_fd, control_fd)
    end_with_parent(parent, signal.SIGTERM)
    keep(template)
    end_rest()


if __name__ == "__main__":
    main()
