"""
How long an agent has worked, whatever the wall clock does and however many daemons look after it.

Work is counted on the monotonic clock, which all processes of one boot share and which stands while the machine sleeps.
What was counted is left in the run directory whenever the agent begins or ends to wait for a person; the next daemon counts
on from there.  After a reboot nothing is left to be counted: no agent outlives it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestrd.clock import Clock
from orchestrd.storage.home import write_atomic
from orchestrd.storage.rundir import RunDir, WorkRecord

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WorkTime:
    """
    The seconds that one agent has worked.
    """

    def __init__(self, rundir: RunDir, clock: Clock) -> None:
        self._dir = rundir
        self._clock = clock
        self._boot = _boot()
        self._standing: bool | None = None
        self._looked = clock.monotonic()
        self._worked = 0.0

    def resume(self, otherwise: float) -> None:
        """
        Count on from what an earlier daemon left, or from *otherwise* seconds when it left nothing that can be used.
        """
        self._looked = self._clock.monotonic()
        left = self._dir.work_record()
        if left is None or left.boot != self._boot or not left.at <= self._looked:
            self._worked = otherwise
        else:
            self._worked = left.worked + (0.0 if left.standing else self._looked - left.at)

    def count(self, *, standing: bool) -> float:
        """
        The seconds of work until now; *standing* when the agent waits for a person since the last look.
        """
        now = self._clock.monotonic()
        self._worked += 0.0 if standing else now - self._looked
        self._looked = now
        if standing is not self._standing:
            self._standing = standing
            self._leave()
        return self._worked

    def _leave(self) -> None:
        record = WorkRecord(boot=self._boot, at=self._looked, worked=self._worked, standing=bool(self._standing))
        try:
            write_atomic(self._dir.work, msgspec.json.encode(record))
        except OSError:
            # A full disk: the next daemon has the wall clock to go by.
            self._standing = None


def _boot() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
