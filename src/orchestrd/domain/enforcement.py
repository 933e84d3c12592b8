"""
Limits that hold during a run: which warnings, halts and questions are due, given what has been spent.
"""

from __future__ import annotations

from orchestrd.domain import ceiling, dayquestion, taskquestion
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.money import dollars
from orchestrd.domain.rows import DayRow, RunPhase, RunRow, TaskRow
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
        runs = {run.task: run for run in live}
        for task in state.tasks(day.day):
            if task.asked is not None or (task.limit is not None and not task.state.ended):
                run = runs.get(task.key)
                facts += _of_task(state, limits, task, run, halted=run is not None and run.key in halted)
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
    on; what was asked is taken back where another limit is *reached* now, or what it offers is not true any more.
    """
    facts: list[ev.AnyEvent] = []
    ended = day.closed(limits.of_day(day))
    asked = state.question(day.asked) if day.asked is not None else None
    wanted = (stopped or asked is not None) and not ended and bool(ceiling.wanting(state, day.day))
    if asked is not None:
        why = "the limit is another now" if reached or not stopped else dayquestion.outdated(state, asked)
        why = why if wanted else "there is nothing left to do"
        facts += [ev.QuestionWithdrawn(question=asked.id, reason=why)] if why else []
    if stopped and wanted and (day.asked is None or facts):
        facts.append(dayquestion.ask(state, limits, day))
    return facts


def _of_task(state: State, limits: Limits, task: TaskRow, run: RunRow | None, *, halted: bool) -> list[ev.AnyEvent]:
    """
    What the own limit of *task* makes necessary, and for its open *run*, which may be *halted* already: warn once, stop it and ask
    once, as for a day.
    """
    facts: list[ev.AnyEvent] = []
    own, spent, stopped = task.limit, state.task_cost(task.key), task.stopped
    reached = False
    # One whose agent is done has what it wanted: more money is no question of it, unless it has to go on.
    leaves = run is not None and run.leaves
    if own is not None and not task.state.ended and not leaves:
        # A lower one is reached as well where a higher one was.
        if reached := own != task.stopped_at if stopped else ceiling.spent_up(state, task, limits):
            facts.append(ev.TaskLimitReached(task=task.key, spent=spent, limit=own))
        elif not stopped and run is not None and spent >= own * limits.warn_at and not task.warned(own):
            facts.append(ev.TaskLimitWarned(task=task.key, spent=spent, limit=own))
        if spent >= own and run is not None and not (halted or run.phase is RunPhase.STOPPING):
            reason = f"the task's limit of {dollars(own)} is reached"
            facts.append(
                ev.RunStopping(run=run.key, outcome=Outcome.OVER_BUDGET, reason=reason, cause=Cause.TASK_LIMIT)
            )
    goes_on = not task.state.ended and not task.held and not (run is not None and run.cancelled)
    wanted = (stopped or reached) and goes_on
    if task.asked is not None and (reached or not wanted):
        why = "its limit is another now" if goes_on else "there is nothing left to do"
        facts.append(ev.QuestionWithdrawn(question=task.asked, reason=why))
    if wanted and not leaves and (reached or task.asked is None):
        facts.append(taskquestion.ask(state, limits, task))
    return facts
