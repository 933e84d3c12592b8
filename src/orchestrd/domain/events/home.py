"""
Facts about the daemon and about days.
"""

from __future__ import annotations

from orchestrd.domain.events.base import DayEvent, Event
from orchestrd.domain.model import Cause


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


class AccountBlocked(Event, frozen=True, kw_only=True, tag="account.blocked"):
    """
    The service does not serve the account: nothing starts before *until* (wall seconds), or, where that is None, before the
    person says so.  It is the *failures*-th time in a row.
    """

    cause: Cause
    reason: str
    until: float | None = None
    failures: int = 1


class AccountRetried(Event, frozen=True, kw_only=True, tag="account.retried"):
    """
    The person wants it tried again.
    """

    by: str = ""


class AccountOpened(Event, frozen=True, kw_only=True, tag="account.opened"):
    """
    The service has answered the agent that tried.
    """


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
    The day's limit is used up, but for what agents at work need to write their summaries: nothing new starts, and no agent
    gets another tool call.  Nano-USD.
    """

    spent: int
    limit: int


class LimitRaised(DayEvent, frozen=True, kw_only=True, tag="day.limit_raised"):
    """
    The person gave the day *amount* more (nano-USD); with *begun_only* for tasks that had begun, and no others.
    """

    amount: int
    begun_only: bool = False
    by: str = ""


class DayClosed(DayEvent, frozen=True, kw_only=True, tag="day.closed"):
    """
    The person wants nothing more to start on this day under its present *limit* (nano-USD).
    """

    limit: int
    by: str = ""
