"""The program behind ``mailward serve``: ``python -m mailward.supervisor.main [CONFIG]``."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

from mailward.gateway.signals import STRAY
from mailward.hooks.outlet import hold_standard_descriptors
from mailward.supervisor.child import StartFailed
from mailward.supervisor.duties import Duties
from mailward.supervisor.folder import StateProblem
from mailward.supervisor.supervisor import Supervisor
from mailward.values.errors import ConfigError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def explain(error: ConfigError) -> str:
    """All that is wrong with a configuration, for the person who must mend it."""
    lines = [f"configuration error in {error.source}"]
    for problem in error.problems:
        value = f" = {problem.value}" if problem.value else ""
        lines.append(f"  {problem.key}{value}: {problem.message}")
        if problem.allowed:
            lines.append(f"      allowed: {problem.allowed}")
        if problem.nearest:
            lines.append(f"      did you mean {problem.nearest!r}?")
    return "\n".join(lines)


async def serve(path: Path | None) -> int:
    """Run until told to stop; the exit status."""
    supervisor = Supervisor(path)
    try:
        return await _serve(supervisor)
    finally:
        await supervisor.means.reaper.end_rest()


async def _serve(supervisor: Supervisor) -> int:
    asked = asyncio.Queue[None]()
    loop = asyncio.get_running_loop()
    for number in _STOPS:
        loop.add_signal_handler(number, asked.put_nowait, None)
    for number in STRAY:
        loop.add_signal_handler(number, _pass_over, supervisor, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to reload
    stop = asyncio.create_task(asked.get())
    start = asyncio.create_task(supervisor.start())
    await asyncio.wait([stop, start], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait([start])
        return EXIT_OK
    try:
        start.result()
    except ConfigError as error:
        supervisor.log.plain(explain(error))
        return EXIT_CONFIG
    except (StartFailed, StateProblem) as error:
        supervisor.log.error("cannot start", problem=str(error))
        return EXIT_FAILED
    gc.freeze()  # what was loaded stays
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload_soon, "SIGHUP")
    async with Duties(supervisor, lambda: asked.put_nowait(None)):
        supervisor.say_ready()
        await stop
    return await _end(supervisor, asked)


def _pass_over(supervisor: Supervisor, number: signal.Signals) -> None:
    supervisor.log.warning("signal without meaning here", signal=number.name)


async def _end(supervisor: Supervisor, asked: asyncio.Queue[None]) -> int:
    ending = asyncio.create_task(supervisor.stop())
    hurry = asyncio.create_task(asked.get())
    await asyncio.wait([ending, hurry], return_when=asyncio.FIRST_COMPLETED)
    hurried = not ending.done()
    if hurried:
        supervisor.log.warning("ends at once, at a second signal")
        await supervisor.end_now()
    ending.cancel()
    hurry.cancel()
    await asyncio.wait([ending, hurry])
    supervisor.finish()
    return EXIT_FAILED if hurried else EXIT_OK


def main() -> None:
    """Run on the configuration that the command line names."""
    hold_standard_descriptors()
    os.umask(0o077)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    sys.exit(asyncio.run(serve(path)))


if __name__ == "__main__":
    main()
