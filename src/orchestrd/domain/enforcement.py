"""
Limits that hold during a run: which warnings, halts and questions are due, given what has been spent.
"""

from __future__ import annotations

from orchestrd.domain import ceiling, dayquestion
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.money import dollars
from orchestrd.domain.rows import DayRow, RunPhase, RunRow
from orchestrd.domain.state import State


def due(state: State, limits: Limits) -> list[ev.AnyEvent]:
    """
    The facts that the present spend makes necessary: warn once, stop the day and ask once, halt each run that is over.
    """
    facts: list[ev.AnyEvent] = []
    for day in (row for name in state.active_days() if (row := state.day(name)) is not None):
        live = state.live(day.day)
        facts += _of_day(state, limits, day, live)
        halted = {fact.run for fact in facts if isinstance(fact, ev.RunStopping)}
        for run in live:
            facts += _of_task(state, limits, run, halted=run.key in halted)
    return facts


def _of_day(state: State, limits: Limits, day: DayRow, live: list[RunRow]) -> list[ev.AnyEvent]:
    facts: list[ev.AnyEvent] = []
    spent, limit = state.spent(day.day), limits.of_day(day)
    stopped = day.stopped(limit)
    # A lower one is reached as well where a higher one was.
    if reached := limit != day.stopped_at if stopped else ceiling.used_up(state, limits, day.day):
        facts.append(ev.LimitReached(day=day.day, spent=spent, limit=limit))
    elif not stopped and spent >= limit * limits.warn_at and not day.warned(limit):
        facts.append(ev.LimitWarned(day=day.day, spent=spent, limit=limit))
    if stopped or reached:
        # One that waits for a person spends nothing, unless work of its own in the background does, and nobody is to ask twice;
        # one that works may say where it stands, as long as what is under way does not pass the limit.
        full = spent >= limit or spent + ceiling.under_way(state, day.day) > limit
        reason = f"the day's limit of {dollars(limit)} is reached"
        facts += [
            ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason, cause=Cause.DAY_LIMIT)
            for run in live
            if (run.spends if full else run.phase is RunPhase.STARTING)
        ]
    return facts + _question(state, limits, day, stopped=stopped or reached, reached=reached)


def _question(state: State, limits: Limits, day: DayRow, *, stopped: bool, reached: bool) -> list[ev.AnyEvent]:
    """
    The person is asked as long as the day is *stopped*, they have not ended it there, and more money would let something go
    on; where another limit is *reached* now, what was asked about the one before is taken back.
    """
    facts: list[ev.AnyEvent] = []
    ended = day.closed(limits.of_day(day))
    wanted = (stopped or day.asked is not None) and not ended and bool(ceiling.wanting(state, day.day))
    if day.asked is not None and (reached or not stopped or not wanted):
        why = "there is nothing left to do" if not wanted else "the limit is another now"
        facts.append(ev.QuestionWithdrawn(question=day.asked, reason=why))
    if stopped and wanted and (day.asked is None or facts):
        facts.append(dayquestion.ask(state, limits, day))
    return facts


def _of_task(state: State, limits: Limits, run: RunRow, *, halted: bool) -> list[ev.AnyEvent]:
    """
    What the own limit of its task makes necessary for *run*, which may be *halted* already.
    """
    task = state.task(run.task)
    own = task.spec.max_cost if task is not None else None
    if task is None or own is None:
        return []
    spent = state.task_cost(task.key)
    if spent < own:
        warns = spent >= own * limits.warn_at and not task.warned(own)
        return [ev.TaskLimitWarned(task=task.key, spent=spent, limit=own)] if warns else []
    if halted or run.leaves or run.phase is RunPhase.STOPPING:
        return []
    reason = f"the task's limit of {dollars(own)} is reached"
    return [ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason, cause=Cause.TASK_LIMIT)]
