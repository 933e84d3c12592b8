"""
What facts about the home and its days change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, clock
from orchestrd.domain.rows import Block, DayRow, Row
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition


def _home_frozen(state: State, e: ev.HomeFrozen, at: float) -> list[Row]:
    if state.home().frozen:
        raise IllegalTransition("the home is frozen already")
    return [replace(state.home(), frozen_since=at, frozen_by=e.by), *_clocks(state, at, frozen=True)]


def _home_thawed(state: State, _: ev.HomeThawed, at: float) -> list[Row]:
    if not state.home().frozen:
        raise IllegalTransition("the home is not frozen")
    return [replace(state.home(), frozen_since=None, frozen_by=""), *_clocks(state, at, frozen=False)]


def _clocks(state: State, at: float, *, frozen: bool) -> list[Row]:
    """
    Every open run with its clock as it stands from *at* on.
    """
    live = [run for day in state.active_days() for run in state.runs(day=day) if run.open]
    return [replace(run, **clock(run, at, waits=run.waiting_since is not None, frozen=frozen)) for run in live]


def _account_blocked(state: State, e: ev.AccountBlocked, at: float) -> list[Row]:
    home = state.home()
    again = home.block is not None and home.block.failures == e.failures
    since = home.block.since if home.block is not None and again else at
    block = Block(cause=e.cause, reason=e.reason, since=since, until=e.until, failures=e.failures)
    return [replace(home, block=block, blocks=home.blocks + (not again))]


def _account_retried(state: State, _: ev.AccountRetried, at: float) -> list[Row]:
    home = state.home()
    return [replace(home, block=replace(home.block, until=at, bidden=True))] if home.block is not None else []


def _account_opened(state: State, _: ev.AccountOpened, at: float) -> list[Row]:
    home = state.home()
    if home.block is None:
        return []
    alone = max(0.0, (at if home.block.until is None else home.block.until) - home.block.since)
    told = {"failures": home.block.failures, "bidden": home.block.bidden}
    return [replace(home, block=None, recovered_at=at, left_alone=alone, **told)]


def _day_submitted(state: State, e: ev.DaySubmitted, at: float) -> list[Row]:
    row = state.day(e.day)
    if row is None:
        return [DayRow(day=e.day, source=e.source, submitted_at=at, limit=e.limit)]
    changes: dict[str, object] = {} if e.limit == row.limit else {"raised": 0, "begun_only": False, "closed_at": None}
    return [replace(row, source=e.source, limit=e.limit, **changes)]


def _limit_warned(state: State, e: ev.LimitWarned, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit)] if row else []


def _limit_reached(state: State, e: ev.LimitReached, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit, stopped_at=e.limit)] if row else []


def _limit_raised(state: State, e: ev.LimitRaised, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, raised=row.raised + e.amount, begun_only=e.begun_only, closed_at=None)] if row else []


def _day_closed(state: State, e: ev.DayClosed, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, closed_at=e.limit)] if row else []


FOLDS: Folds = {
    ev.HomeFrozen: _home_frozen,
    ev.HomeThawed: _home_thawed,
    ev.AccountBlocked: _account_blocked,
    ev.AccountRetried: _account_retried,
    ev.AccountOpened: _account_opened,
    ev.DaySubmitted: _day_submitted,
    ev.LimitWarned: _limit_warned,
    ev.LimitReached: _limit_reached,
    ev.LimitRaised: _limit_raised,
    ev.DayClosed: _day_closed,
}
