"""
The home itself, and its days.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Cause


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why the service does not serve the account, since when, and until when (wall seconds; None: until the person has it tried
    again).  It is the *failures*-th time in a row.  *bidden*: the person wants it tried again, at whatever hour.
    """

    cause: Cause
    reason: str
    since: float
    until: float | None = None
    failures: int = 1
    bidden: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """
    A subscription's usage window as the service told of it *at* a wall time: *utilization* is a fraction, or None; *overage*:
    what is asked beyond it is answered and paid for by use.
    """

    status: str
    at: float
    utilization: float | None = None
    resets_at: float | None = None
    overage: bool = False


class HomeRow(msgspec.Struct, frozen=True, kw_only=True, tag="home"):
    """
    The home itself; there is one.
    """

    frozen_since: float | None = None
    """Since when everything stands still, or None."""
    frozen_by: str = ""
    block: Block | None = None
    """Why no agent can work, or None."""
    blocks: int = 0
    """How often that came up; a run that tries whether it is over bears the number."""
    failures: int = 0
    """How often in a row it had, when it was last over."""
    recovered_at: float | None = None
    """When it was last over."""
    left_alone: float = 0.0
    """For how many seconds the service was left alone before that, the last time."""
    bidden: bool = False
    """True when it was tried then because the person wanted it."""
    questions: int = 0
    """How often the person was asked about it."""
    asked: str | None = None
    """The one of these questions that is open."""
    windows: dict[str, Window] = {}
    """Kind of usage window (five_hour …) to what was last told of it."""

    @property
    def key(self) -> str:
        return "home"

    @property
    def frozen(self) -> bool:
        """
        True while everything stands still.
        """
        return self.frozen_since is not None


class DayRow(msgspec.Struct, frozen=True, kw_only=True, tag="day"):
    """
    One day.  *limit* is nano-USD from the task file, or None for the configured one; *source* is the file that last said which.
    """

    day: str
    source: str
    submitted_at: float
    limit: int | None = None
    warned_at: int | None = None
    """The limit (nano-USD) under which the warning was given."""
    stopped_at: int | None = None
    """The limit (nano-USD) that was reached; a higher one opens the day again."""
    raised: int = 0
    """Nano-USD that the person gave beyond that limit."""
    begun_only: bool = False
    """True when that is for tasks that had begun, and no others."""
    questions: int = 0
    """How often the daemon asked what to do about the day."""
    asked: str | None = None
    """The one of these questions that is open."""
    closed_at: int | None = None
    """The limit (nano-USD) at which the person ended the day; a higher one opens it again."""

    @property
    def key(self) -> str:
        return self.day

    def warned(self, limit: int) -> bool:
        """
        True when the person was warned of *limit* (nano-USD) or a higher one.
        """
        return self.warned_at is not None and limit <= self.warned_at

    def stopped(self, limit: int) -> bool:
        """
        True when *limit* (nano-USD) or a higher one was reached before.
        """
        return self.stopped_at is not None and limit <= self.stopped_at

    def closed(self, limit: int) -> bool:
        """
        True when the person wants nothing more to start under *limit* (nano-USD), or a higher one.
        """
        return self.closed_at is not None and limit <= self.closed_at
