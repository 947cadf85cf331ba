"""Where scan processes come from: a template process, which is started anew once it has gone."""

from __future__ import annotations

import asyncio

from mailward.hooks.log import get_logger
from mailward.scan.forge import Forge
from mailward.scan.process import Owner, Process
from mailward.scan.protocol import Setup
from mailward.scan.stats import Counts
from mailward.values.errors import ConfigError, ScanError

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0


class Supply:
    """Makes scan processes, of which ``owner`` is told what becomes of them."""

    def __init__(self, setup: Setup, counts: Counts, owner: Owner) -> None:
        self.setup = setup
        self._counts = counts
        self._owner = owner
        self._forge = Forge(setup)
        self._renewing = asyncio.Lock()

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the system refuses of the confinement, in words."""
        return self._forge.lacking

    @property
    def identity(self) -> str:
        """What verdicts depend on, as a digest."""
        return self._forge.identity

    @property
    def template_pid(self) -> int:
        """The process that the scan processes are forked from."""
        return self._forge.pid

    async def start(self) -> None:
        """Start the template process. Raises ConfigError, ScanError."""
        await self._forge.start()
        if self.lacking:
            get_logger().warning("scan processes are not fully confined", lacking=list(self.lacking))

    async def stop(self) -> None:
        """End the template process; scan processes that are left end with it."""
        await self._forge.stop()

    async def make(self) -> Process:
        """A process that takes jobs. Raises ConfigError, ScanError where there is none to be had now."""
        forge = self._forge
        process = Process(await forge.make(), forge, self._owner)
        try:
            await process.ready(self.setup.source)
        except BaseException:
            process.kill()
            raise
        self._counts.started += 1
        return process

    async def make_at_last(self) -> Process:
        """A process that takes jobs, after as many tries as it takes, further and further apart."""
        wait_s = 0.0
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self._renew()
                return await self.make()
            except (ConfigError, ScanError) as error:
                wait_s = min(max(wait_s * 2, FIRST_BACKOFF_S), MAX_BACKOFF_S)
                get_logger().error("scan process does not start", problem=str(error), next_try_s=wait_s)

    async def _renew(self) -> None:
        async with self._renewing:
            if self._forge.gone:
                old, new = self._forge, Forge(self.setup)
                await new.start()
                self._forge = new
                await old.stop()
