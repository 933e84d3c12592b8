"""
How long an agent has worked, whatever the wall clock does and however many daemons look after it.

Work is what a daemon saw, look by look, on the monotonic clock, which all processes of one boot share and which stands
while the machine sleeps.  Without a daemon an agent comes no further than its next tool call, which it waits with until it is judged: an evening
without one, or with one that was stopped or had no room on its disk, is no evening's work.  What was counted is left in the
run directory every second, and the next daemon counts on from there.
"""

from __future__ import annotations

import msgspec

from orchestrd.clock import Clock
from orchestrd.runner.processes import boot_id
from orchestrd.storage.home import write_atomic
from orchestrd.storage.rundir import RunDir, WorkRecord

LEAVE_SECONDS = 1.0
"""Of work between two records: what a killed daemon saw last is about as much, and is counted so."""
STEP_SECONDS = 5.0
"""The most that one look adds: what lies between two looks that are farther apart was seen by nobody."""


class WorkTime:
    """
    The seconds that one agent has worked.
    """

    def __init__(self, rundir: RunDir, clock: Clock) -> None:
        self._dir = rundir
        self._clock = clock
        self._boot = boot_id()
        self._standing: bool | None = None
        self._looked = clock.monotonic()
        self.worked = self._left = 0.0

    def resume(self) -> None:
        """
        Count on, from now, from what an earlier daemon left.
        """
        self._looked = self._clock.monotonic()
        left = self._dir.work_record()
        if left is None:
            return
        lost = left.standing or left.boot != self._boot
        since = 0.0 if lost else min(max(0.0, self._looked - left.at), LEAVE_SECONDS)
        self.worked = self._left = left.worked + since

    def count(self, *, standing: bool) -> float:
        """
        The seconds of work until now; *standing* when the agent waits for a person since the last look.
        """
        now = self._clock.monotonic()
        self.worked += 0.0 if standing else min(now - self._looked, STEP_SECONDS)
        self._looked = now
        if standing is not self._standing or self.worked >= self._left + LEAVE_SECONDS:
            self._standing = standing
            self._leave()
        return self.worked

    def close(self) -> float:
        """
        The seconds of work, which stay what they are from now on.
        """
        self._leave()
        return self.worked

    def _leave(self) -> None:
        record = WorkRecord(boot=self._boot, at=self._looked, worked=self.worked, standing=bool(self._standing))
        try:
            write_atomic(self._dir.work, msgspec.json.encode(record))
        except OSError:
            # A full disk: tried again at the next look.
            self._standing = None
        else:
            self._left = self.worked
