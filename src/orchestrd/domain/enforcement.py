"""
Limits that hold during a run: which warnings and halts are due, given what has been spent.
"""

from __future__ import annotations

from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits, Standing, standing
from orchestrd.domain.model import Outcome, usd
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.state import State


def due(state: State, limits: Limits) -> list[ev.AnyEvent]:
    """
    The facts that the present spend makes necessary: warn once, stop the day once, halt each run that is over.
    """
    facts: list[ev.AnyEvent] = []
    active = state.active_days()
    live = [run for day in active for run in state.runs(day=day) if run.open]
    for day in (row for name in active if (row := state.day(name)) is not None):
        spent = state.spent(day.day)
        limit = limits.of_day(day.limit)
        stand = standing(spent, limit, limits.warn_at)
        if stand is Standing.STOP and not day.stopped(limit):
            facts.append(ev.LimitReached(day=day.day, spent=spent, limit=limit))
        elif stand is Standing.WARN and not day.warned(limit):
            facts.append(ev.LimitWarned(day=day.day, spent=spent, limit=limit))
        if stand is Standing.STOP:
            reason = f"the day's limit of ${usd(limit):.2f} is reached"
            facts += [
                ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason)
                for run in live
                if run.task.partition("/")[0] == day.day and run.phase is not RunPhase.STOPPING
            ]
    halted = {fact.run for fact in facts if isinstance(fact, ev.RunStopping)}
    for run in live:
        task = state.task(run.task)
        own = task.spec.max_cost if task else None
        if own is None or run.phase is RunPhase.STOPPING or run.key in halted:
            continue
        if state.task_cost(run.task) >= own:
            reason = f"the task's limit of ${usd(own):.2f} is reached"
            facts.append(ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason))
    return facts
