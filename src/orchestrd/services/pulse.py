"""
Do all loops of the daemon still go round?

Each core loop beats when it goes round, idle ones every few seconds; the writer is asked for a decision that changes
nothing.  A loop that has not gone round for too long is named in the log once.  Whoever vouches for the daemon (the
service manager's watchdog) asks `late`: a bare timer would prove only that timers work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger

log = get_logger(__name__)
WATCHDOG_SECONDS = 30.0
"""How long nobody may hear of the daemon, where no service manager says another number."""


STEADY = frozenset(("store", "rpc"))
"""Loops that answer whether there is room on the disk or not."""


async def gate(loop: str) -> None:
    """
    Where the *loop* passes in each round; a test may keep it here for ever.
    """
    if failpoint(f"loop.{loop}"):
        await anyio.sleep_forever()


class Pulse:
    """
    When each loop last went round.  *within* is how long nobody may hear of the daemon; a loop is late after half of it,
    and one with nothing to do goes round after a sixth.  *writers_wait* is true while nothing can be written for want of
    room: whoever writes then waits, which is no fault.
    """

    def __init__(
        self, clock: Clock, *, within: float = WATCHDOG_SECONDS, writers_wait: Callable[[], bool] = lambda: False
    ) -> None:
        self._clock = clock
        self.late_after = within / 2
        self.idle = within / 6
        self._due: dict[str, float] = {}
        self._writers_wait = writers_wait
        self._excused_until = 0.0

    async def turn(self, loop: str, *, work: float = 0.0) -> None:
        """
        The *loop* goes round; what it does in its round may take *work* seconds by nature.
        """
        await gate(loop)
        self.beat(loop, work)

    def beat(self, loop: str, work: float = 0.0) -> None:
        """
        The *loop* need not go round again for half of the time there is, and *work* seconds.
        """
        self._due[loop] = self._clock.monotonic() + self.late_after + work

    def rest(self, loop: str, pause: float) -> None:
        """
        The *loop* broke, and is started again after *pause* seconds.
        """
        if loop in self._due:
            self.beat(loop, work=pause)

    def writers_excused(self) -> bool:
        """
        True while nothing can be written, and for as long after that as a loop may take.
        """
        now = self._clock.monotonic()
        if self._writers_wait():
            self._excused_until = now + self.late_after
        return now < self._excused_until

    def late(self) -> list[str]:
        """
        The loops that should have gone round by now.
        """
        now, excused = self._clock.monotonic(), self.writers_excused()
        return sorted(loop for loop, due in self._due.items() if now > due and (loop in STEADY or not excused))

    async def run(
        self, ask: Callable[[], Awaitable[None]], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """
        Beat for the loop ``store`` as often as the writer answers what it is *asked*, and name the loops that are late,
        until cancelled.
        """
        async with anyio.create_task_group() as group:
            self.beat("store")
            group.start_soon(self._ask, ask)
            task_status.started()
            await self._watch()

    async def _ask(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await ask()
            self.beat("store")
            await anyio.sleep(self.idle)

    async def _watch(self) -> None:
        named: set[str] = set()
        looked = self._clock.monotonic()
        while True:
            await anyio.sleep(self.idle)
            before, looked = looked, self._clock.monotonic()
            if looked - before > self.late_after:
                continue  # everything stood still, this loop too: the others get their time to go on
            late = set(self.late())
            for loop in sorted(late - named):
                log.error("loop.late", loop=loop)
            for loop in sorted(named - late):
                log.info("loop.back", loop=loop)
            named = late
