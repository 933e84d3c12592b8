"""
Does a run still live?  Read from its two locks and its exit record, never from a process id.

The shim holds ``shim.lock``; the agent and every heir of it hold ``agent.lock``; ``exit.json`` is the shim's last act.  What
the three say together is a table, the same at a daemon's start and at any later look.
"""

from __future__ import annotations

from enum import StrEnum

import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.domain.rows import RunRow
from orchestrd.runner.sweep import end_heirs, end_shim
from orchestrd.storage.rundir import RunDir

SHIM_DEATH_GRACE = 2.0
"""Seconds an agent without its shim is given at the least: its stdin is at its end, it may finish its turn, not more."""
CLOSING_SECONDS = 10.0
"""How long a shim may take from its record to its own end."""
HUNG_SECONDS = 30.0
"""How long beyond the grace a shim that was told to end its tree may take: it hangs, or somebody stopped it."""
SETTLE_SECONDS = 0.2
"""How long nothing at all must be there before a run is given up: a record may be on its way."""


MISSING_SECONDS = 6.0
"""How long a run directory may be missing: when the whole home was moved, the daemon leaves before that."""


class Finding(StrEnum):
    """
    What became of a run that was started.
    """

    ALIVE = "alive"
    CLOSING = "closing"
    """The shim is between its record and its own end."""
    FINISHED = "finished"
    LEFTOVER = "leftover"
    """The agent is gone and recorded, a process of its tree lives."""
    ORPHANED = "orphaned"
    """The shim died: the agent writes on, hears nothing, and nobody will record its exit."""
    ABANDONED = "abandoned"
    """Nothing lives and nothing is recorded: power loss, or everything was killed."""
    MISSING = "missing"
    """The run directory is not there: nothing can be said of the run."""


FINDINGS: dict[tuple[bool, bool, bool], Finding] = {
    # shim.lock held, agent.lock held, exit.json there
    (True, True, False): Finding.ALIVE,
    (True, False, False): Finding.ALIVE,
    (True, True, True): Finding.CLOSING,
    (True, False, True): Finding.CLOSING,
    (False, False, True): Finding.FINISHED,
    (False, True, True): Finding.LEFTOVER,
    (False, True, False): Finding.ORPHANED,
    (False, False, False): Finding.ABANDONED,
}


def begun(rundir: RunDir, row: RunRow, cursor: int) -> bool:
    """
    True once the run's agent was started, as its directory tells or, when a power loss took that, what the journal has of its
    output: it is never started a second time.
    """
    return rundir.started() or cursor > 0 or row.cut


def look(rundir: RunDir) -> Finding:
    """
    What the locks and the record of a run that was started say now.
    """
    if not rundir.path.is_dir():
        return Finding.MISSING
    # In this order: a shim that is gone can write no record any more.
    shim = rundir.shim_alive()
    return FINDINGS[shim, rundir.agent_alive(), rundir.exit_record() is not None]


class Vigil:
    """
    Watches one run until it is over, and ends what outlives it.
    """

    def __init__(self, rundir: RunDir, *, grace: float, clock: Clock) -> None:
        """
        *grace* is how many seconds an agent may take to stop.
        """
        self._dir = rundir
        self._grace = grace
        self._clock = clock
        self._since = clock.monotonic()
        self._over = False
        self.finding: Finding | None = None
        self.swept: list[str] = []
        """Names of the processes that were ended here, the agent itself left out."""

    async def over(self, *, spared: bool = False, told: float | None = None) -> bool:
        """
        True once nothing of the run lives any more.  While *spared*, nothing is counted against it; *told* is how many seconds
        ago its shim was told to end the tree, if it was.

        Raises `OSError` when that cannot be told now.
        """
        if not self._over and self._due(spared, told):
            if self.finding in (Finding.ALIVE, Finding.CLOSING):
                await anyio.to_thread.run_sync(end_shim, self._dir)
            # The shim's own sweep is the rule; but it may be dead, hang, or have been one of two.
            self.swept += await anyio.to_thread.run_sync(end_heirs, self._dir)
            self._over = True
        return self._over

    def _due(self, spared: bool, told: float | None) -> bool:  # noqa: FBT001 - as they come
        now, found = self._clock.monotonic(), look(self._dir)
        if found is not self.finding or (spared and found is Finding.ORPHANED):
            self.finding, self._since = found, now
        waited = now - self._since
        match found:
            case Finding.ALIVE:
                return told is not None and told > self._grace + HUNG_SECONDS and not spared
            case Finding.CLOSING:
                return waited > CLOSING_SECONDS
            case Finding.ORPHANED if waited < max(SHIM_DEATH_GRACE, self._grace):
                return False
            case Finding.ABANDONED if waited < SETTLE_SECONDS:
                return False
            case Finding.MISSING if waited < MISSING_SECONDS:
                return False
        return True
