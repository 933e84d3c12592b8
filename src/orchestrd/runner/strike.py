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
BUSY_SECONDS = 0.5
"""The same, where the agent is at something then: a machine with much to do may not have let it tell."""
LOOK_SECONDS = 0.02
"""Between two looks at that while the record is made."""


class Strike:
    """
    That of one run's agent.
    """

    def __init__(
        self, ladder: Ladder, clock: Clock, *, unaccounted: Callable[[], bool], busy: Callable[[], bool]
    ) -> None:
        """
        *unaccounted* says whether it is not told yet what the response used, *busy* whether the agent's own process runs, or waits
        for a processor or a disk, now.
        """
        self._ladder = ladder
        self._clock = clock
        self._unaccounted = unaccounted
        self._busy = busy
        self._since: float | None = None

    def fall(self) -> None:
        """
        End the whole tree, now or in a moment: what the response used that tried the forbidden may be told just after its call, or
        only when it is asked for (Claude Code 2.1.197).  Nothing is granted meanwhile.
        """
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        if not self._unaccounted() or not self._may_tell(now - self._since):
            self._ladder.strike()

    def _may_tell(self, waited: float) -> bool:
        """
        True while the agent may tell what it used, after so many seconds.
        """
        return waited < TRAILING_SECONDS or (waited < BUSY_SECONDS and self._busy())

    async def beside(self, record: Callable[[], Awaitable[bool]]) -> bool:
        """
        What *record* gives; meanwhile that moment runs out, whatever is in the way of the record.
        """
        self.fall()
        async with beside() as group:
            group.start_soon(self._in_time)
            return await record()

    async def _in_time(self) -> None:
        # What is heard meanwhile is read when the record is made: nobody tells.
        waited = 0.0
        while self._may_tell(waited):
            await anyio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        self._ladder.strike()
