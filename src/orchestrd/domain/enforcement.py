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
        facts += [fact for run in live if run.key not in halted and (fact := _of_task(state, run)) is not None]
    return facts


def _of_day(state: State, limits: Limits, day: DayRow, live: list[RunRow]) -> list[ev.AnyEvent]:
    facts: list[ev.AnyEvent] = []
    spent, limit = state.spent(day.day), limits.of_day(day)
    if day.stopped(limit):
        reached = False
    elif reached := ceiling.used_up(state, limits, day.day):
        facts.append(ev.LimitReached(day=day.day, spent=spent, limit=limit))
    elif spent >= limit * limits.warn_at and not day.warned(limit):
        facts.append(ev.LimitWarned(day=day.day, spent=spent, limit=limit))
    if reached or day.stopped(limit):
        # One that waits for a person spends nothing, unless work of its own in the background does, and nobody is to ask twice;
        # one that works may say where it stands, as long as what is under way does not pass the limit.
        full = spent >= limit or spent + ceiling.under_way(state, day.day) > limit
        reason = f"the day's limit of {dollars(limit)} is reached"
        facts += [
            ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason, cause=Cause.DAY_LIMIT)
            for run in live
            if (run.spends if full else run.phase is RunPhase.STARTING)
        ]
    if reached or day.asked is not None:
        unfinished = any(not task.state.ended for task in state.tasks(day.day))
        if day.asked is not None and not (unfinished and (reached or day.stopped(limit))):
            why = "the limit was raised" if unfinished else "there is nothing left to do"
            facts.append(ev.QuestionWithdrawn(question=day.asked, reason=why))
        elif reached and unfinished and day.asked is None:
            facts.append(dayquestion.ask(state, limits, day))
    return facts


def _of_task(state: State, run: RunRow) -> ev.RunStopping | None:
    task = state.task(run.task)
    own = task.spec.max_cost if task is not None else None
    if own is None or run.phase is RunPhase.STOPPING or state.task_cost(run.task) < own:
        return None
    reason = f"the task's limit of {dollars(own)} is reached"
    return ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason, cause=Cause.TASK_LIMIT)
