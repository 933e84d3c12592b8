"""
The halt of an agent that tried the forbidden: first the deed, then the record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from orchestrd.beside import beside
from orchestrd.clock import Clock
from orchestrd.runner.ladder import Ladder

TRAILING_SECONDS = 0.1
"""How long it is waited for what the response used that tried the forbidden, before its agent is killed."""


class Strike:
    """
    That of one run's agent.
    """

    def __init__(self, ladder: Ladder, clock: Clock, *, unaccounted: Callable[[], bool]) -> None:
        """
        *unaccounted* says whether it is not told yet what the response used.
        """
        self._ladder = ladder
        self._clock = clock
        self._unaccounted = unaccounted
        self._due: float | None = None

    def fall(self) -> None:
        """
        End the whole tree, now or in a moment: what the response used that tried the forbidden may be told just after its call, or
        only when it is asked for (Claude Code 2.1.197).  Nothing is granted meanwhile.
        """
        now = self._clock.monotonic()
        self._due = now + TRAILING_SECONDS if self._due is None else self._due
        if now >= self._due or not self._unaccounted():
            self._ladder.strike()

    async def beside(self, record: Callable[[], Awaitable[bool]]) -> bool:
        """
        What *record* gives; meanwhile that moment runs out, whatever is in the way of the record.
        """
        self.fall()
        async with beside() as group:
            group.start_soon(self._in_time)
            return await record()

    async def _in_time(self) -> None:
        await anyio.sleep(TRAILING_SECONDS)
        self._ladder.strike()
