"""
What facts about the home and its days change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, clock
from orchestrd.domain.rows import DayRow, HomeRow, Row
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition


def _home_frozen(state: State, e: ev.HomeFrozen, at: float) -> list[Row]:
    if state.home().frozen:
        raise IllegalTransition("the home is frozen already")
    return [HomeRow(frozen_since=at, frozen_by=e.by), *_clocks(state, at, frozen=True)]


def _home_thawed(state: State, _: ev.HomeThawed, at: float) -> list[Row]:
    if not state.home().frozen:
        raise IllegalTransition("the home is not frozen")
    return [HomeRow(), *_clocks(state, at, frozen=False)]


def _clocks(state: State, at: float, *, frozen: bool) -> list[Row]:
    """
    Every open run with its clock as it stands from *at* on.
    """
    live = [run for day in state.active_days() for run in state.runs(day=day) if run.open]
    return [replace(run, **clock(run, at, waits=run.waiting_since is not None, frozen=frozen)) for run in live]


def _day_submitted(state: State, e: ev.DaySubmitted, at: float) -> list[Row]:
    row = state.day(e.day)
    if row is None:
        return [DayRow(day=e.day, source=e.source, submitted_at=at, limit=e.limit)]
    return [replace(row, source=e.source, limit=e.limit)]


def _limit_warned(state: State, e: ev.LimitWarned, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit)] if row else []


def _limit_reached(state: State, e: ev.LimitReached, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit, stopped_at=e.limit)] if row else []


FOLDS: Folds = {
    ev.HomeFrozen: _home_frozen,
    ev.HomeThawed: _home_thawed,
    ev.DaySubmitted: _day_submitted,
    ev.LimitWarned: _limit_warned,
    ev.LimitReached: _limit_reached,
}
