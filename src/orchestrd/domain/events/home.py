"""
Facts about the daemon and about days.
"""

from __future__ import annotations

from orchestrd.domain.events.base import DayEvent, Event


class DaemonStarted(Event, frozen=True, kw_only=True, tag="daemon.started"):
    """
    A daemon took the home.
    """

    pid: int
    version: str


class DaemonStopped(Event, frozen=True, kw_only=True, tag="daemon.stopped"):
    """
    A daemon left the home in good order; live agents go on.
    """

    pid: int


class HomeFrozen(Event, frozen=True, kw_only=True, tag="home.frozen"):
    """
    Everything was stopped: no run starts, every agent's processes stand still, and so do their clocks.
    """

    by: str = ""


class HomeThawed(Event, frozen=True, kw_only=True, tag="home.thawed"):
    """
    Everything that was stopped goes on.
    """

    by: str = ""


class DaySubmitted(DayEvent, frozen=True, kw_only=True, tag="day.submitted"):
    """
    A task file for the day was accepted.  *limit* is nano-USD, or None when the file names none.
    """

    source: str
    limit: int | None = None


class LimitWarned(DayEvent, frozen=True, kw_only=True, tag="day.limit_warned"):
    """
    The day's spend passed the warning threshold.  Nano-USD.
    """

    spent: int
    limit: int


class LimitReached(DayEvent, frozen=True, kw_only=True, tag="day.limit_reached"):
    """
    The day's spend reached its limit: nothing new starts and running agents are halted.  Nano-USD.
    """

    spent: int
    limit: int
