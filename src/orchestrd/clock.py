"""
Wall and monotonic time as one value that can be handed in.

The only module that reads a clock.  ``wall`` informs people and names due times; ``monotonic`` measures durations.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from orchestrd.moments import dated


class Clock(Protocol):
    """
    What the program may ask about time.
    """

    def wall(self) -> float:
        """
        Seconds since 1970-01-01 UTC; may jump.
        """
        ...

    def monotonic(self) -> float:
        """
        Seconds since an arbitrary start; never goes back.
        """
        ...

    def zone(self) -> tzinfo:
        """
        The person's time zone, with its rules: for local times in task files and in reports, and for hours of the day.
        """
        ...


class SystemClock:
    """
    The machine's own clocks.
    """

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def zone(self) -> tzinfo:
        return _HERE


class LocalZone(tzinfo):
    """
    The time zone that this process is set to, however that was named: it asks the C library about the very moment, so that a
    night in which the clocks are put forward or back has its true length.
    """

    def utcoffset(self, there: datetime | None) -> timedelta | None:
        return None if there is None else self._known(there).utcoffset()

    def dst(self, _: datetime | None) -> timedelta | None:
        # Nobody here asks how much of the offset is summer time.
        return None

    def tzname(self, there: datetime | None) -> str | None:
        return None if there is None else self._known(there).tzname()

    def fromutc(self, there: datetime) -> datetime:
        """
        The moment *there*, whose figures are UTC, with the figures of this zone.
        """
        known = there.replace(tzinfo=UTC).astimezone()
        first = known.replace(tzinfo=self)
        # Of the hour that comes twice it is told apart which one is meant.
        return first if first.utcoffset() == known.utcoffset() else first.replace(fold=1)

    def _known(self, there: datetime) -> datetime:
        """
        *there* with the offset that holds at its figures.
        """
        return there.replace(tzinfo=None).astimezone()


_HERE = LocalZone()


class StillClock:
    """
    A clock whose monotonic seconds stand still while it is told to; its wall time does not.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost = 0.0
        self._since: float | None = None

    def stand(self, *, still: bool) -> None:
        """
        Stand still from now on, or go on.
        """
        now = self._clock.monotonic()
        if self._since is not None:
            self._lost += now - self._since
        self._since = now if still else None

    def wall(self) -> float:
        return self._clock.wall()

    def monotonic(self) -> float:
        now = self._clock.monotonic() if self._since is None else self._since
        return now - self._lost

    def zone(self) -> tzinfo:
        return self._clock.zone()


def iso(seconds: float | None) -> str | None:
    """
    Wall *seconds* as ISO-8601 UTC with milliseconds, ``2026-11-22T17:42:00.125Z``; None stays None.
    """
    if seconds is None:
        return None
    return dated(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
