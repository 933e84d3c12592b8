"""
The day's limit and what is left under it: what is kept for the agents at work, what another one needs, and when it is time to
stop.

What a run is expected to cost is kept for it from its start, so that nothing begins which the day cannot pay, and no
conversation is taken up again whose next response it cannot.  An agent that
needs more than that is not stopped for it; all of them are once the limit is used up.  The last of it is for summaries:
where two more responses of every agent, the one under way and a summary, would pass the limit, no agent gets another tool
call, and once what is under way would pass it all are interrupted.
So what is spent beyond it is at most what the responses cost that are under way in that moment.
"""

from __future__ import annotations

import math

from orchestrd.domain.budget import Limits
from orchestrd.domain.dependencies import unmet
from orchestrd.domain.model import Cause, Complexity, TaskState
from orchestrd.domain.money import dollars
from orchestrd.domain.rows import DayRow, RunRow, TaskRow
from orchestrd.domain.state import State

BASIS = 5
"""Runs of one complexity that must have ended well before they, and not the settings, say what one costs."""
DAYS = 30
"""How many of the newest days such runs are looked for in."""
REOPEN = "name a higher max_cost_usd in its task file and submit that again"
"""How the person opens a day that they ended, or kept to what had begun."""
LEAST = 0.1
"""The part of what a task is expected to cost that must be left for it to begin, when nothing else is at work."""


def limit_of(state: State, limits: Limits, day: str) -> int:
    """
    The limit that holds for *day*, in nano-USD.
    """
    return limits.of_day(state.day(day))


def kept(state: State, day: str, limit: int) -> int:
    """
    Nano-USD of the day's *limit* that are kept for agents at work, and not spent yet: never more than there is.
    """
    owed = sum(max(0, run.reserved - run.cost) for run in state.live(day) if not run.leaves)
    return max(0, min(owed, limit - state.spent(day)))


def expected(state: State, task: TaskRow, limits: Limits) -> int:
    """
    What a run of *task* is expected to cost at most, in nano-USD: what nine in ten of the runs cost that did a task of its
    complexity, or the setting while they are few; never more than an even share of the day's limit, but two responses of a
    conversation that it goes on with; nor more than its own limit leaves.
    """
    complexity = task.spec.complexity
    usual = state.once(f"usual cost of {complexity}", lambda: _nine_in_ten(state, complexity))
    if usual is None:
        usual = limits.reserve[complexity]
    share = limit_of(state, limits, task.spec.day) // limits.slots
    own = own_left(state, task)
    needed = max(min(usual, share), 2 * next_response(state, task))
    return int(min(needed, math.inf if own is None else own))


def next_response(state: State, task: TaskRow) -> int:
    """
    Nano-USD that the next response costs of the conversation that *task* is in, or goes on with: about what its last one did.
    Nothing is known of one that was not answered yet.
    """
    runs = state.runs(task=task.key)
    session = runs[-1].session if runs and runs[-1].open else task.session
    # A run that took it up and ended before it was answered has told nothing.
    answered = (run.response_cost for run in reversed(runs) if run.session == session and run.response_cost)
    return next(answered, 0)


def own_left(state: State, task: TaskRow) -> int | None:
    """
    Nano-USD that are left of the own limit of *task*; None when it has none.
    """
    own = task.limit
    return None if own is None else max(0, own - state.task_cost(task.key))


def spent_up(state: State, task: TaskRow, limits: Limits) -> bool:
    """
    True when the own limit of *task* is spent; or when its agent was denied a call for it, or would be at once if it went on; or
    would pass it with the first thing that it is told.
    """
    own, spent = task.limit, state.task_cost(task.key)
    run = state.run(task.run) if task.run else None
    if own is None or spent >= own or run is None:
        return own is not None and spent >= own
    response = next_response(state, task)
    near = spent + min(2 * response, limits.last_part(own)) >= own
    if run.open:
        return near and run.curtailed_cause is Cause.TASK_LIMIT
    return task.state is TaskState.QUEUED and (near or spent + response > own)


def _nine_in_ten(state: State, complexity: Complexity) -> int | None:
    """
    What the dearest of nine in ten tasks of *complexity* cost that succeeded of late; None while they are few.
    """
    costs: dict[str, int] = {}
    for day in state.days()[-DAYS:]:
        done = state.tasks(day.day)
        costs |= {t.key: 0 for t in done if t.state is TaskState.SUCCEEDED and t.spec.complexity is complexity}
        for run in state.runs(day=day.day):
            if run.task in costs:
                costs[run.task] += run.cost
    seen = sorted(costs.values())
    return seen[math.ceil(0.9 * len(seen)) - 1] if len(seen) >= BASIS else None


def affordable(state: State, task: TaskRow, limits: Limits, promised: int = 0, *, alone: bool) -> int | None:
    """
    What is kept for *task* when it starts now, beside *promised* nano-USD for others that start with it; None when that much
    is not left.  A task that is *alone* gets the rest of the day when that is not nothing to speak of, and pays its next
    response.
    """
    day, need = task.spec.day, expected(state, task, limits)
    limit = limit_of(state, limits, day)
    left = limit - state.spent(day) - kept(state, day, limit) - promised
    if left >= need:
        return need
    enough = max(need * LEAST, next_response(state, task))
    return left if alone and left > 0 and left >= enough else None


def spenders(state: State, day: str) -> list[RunRow]:
    """
    The runs of *day* whose agents may be asking the model for something just now.
    """
    return [run for run in state.live(day) if run.spends]


def under_way(state: State, day: str) -> int:
    """
    What the day's agents spend with one more response of each of their conversations, subagents' too, in nano-USD, by what
    the last ones cost.
    """
    return sum(run.response_cost for run in spenders(state, day))


def used_up(state: State, limits: Limits, day: str) -> bool:
    """
    True when the day's limit is spent, or would be passed if each agent at work had two more responses like its last, the one
    under way and a summary; or when none is at work and what is left is not enough for any task that waits.
    """
    spent, limit = state.spent(day), limit_of(state, limits, day)
    if spent >= limit:
        return True
    if state.live(day):
        to_come = 2 * under_way(state, day)
        return to_come > 0 and spent + min(to_come, limits.last_part(limit)) >= limit
    return stuck(state, limits, day)


def stuck(state: State, limits: Limits, day: str) -> bool:
    """
    True when no agent of *day* is at work and what is left of its limit is not enough for any task that only waits for money.
    """

    def find() -> bool:
        # Of a day that spent nothing it is not money that keeps it.
        tasks = wanting(state, day) if state.spent(day) and not state.live(day) else []
        return bool(tasks) and all(affordable(state, task, limits, alone=True) is None for task in tasks)

    return state.once(f"{day} is stuck at {limit_of(state, limits, day)}", find)


def wanting(state: State, day: str) -> list[TaskRow]:
    """
    The tasks of *day* that more money would let go on: those at work that are not cancelled and whose agents have something left
    to do, and the queued ones that need no other task first; none that has used up its own limit, nor, while only what had begun is finished, one that had not.
    """
    row = state.day(day)
    begun_only = row is not None and row.begun_only

    def goes_on(task: TaskRow) -> bool:
        if task.state is TaskState.QUEUED:
            return bool(task.attempts or not begun_only) and unmet(state, task) is None
        run = state.run(task.run) if task.run else None
        # One that was to be stopped goes on with more money, unless it is found to have been done before that.
        done = run is not None and run.leaves and (run.stopping is None or task.state is TaskState.CHECKING)
        return run is None or not (run.cancelled or done)

    return [task for task in state.tasks(day) if _has_own(state, task) and goes_on(task)]


def _has_own(state: State, task: TaskRow) -> bool:
    """
    True when *task* has not ended, and its own limit lets it go on.
    """
    return not task.state.ended and not task.stopped and own_left(state, task) != 0


def curb(state: State, run: RunRow, limits: Limits) -> tuple[Cause, str] | None:
    """
    Why the agent of *run* gets no further tool call, or None.
    """
    day = run.task.partition("/")[0]
    row, limit = state.day(day), limit_of(state, limits, day)
    if row is not None and row.stopped(limit):
        return Cause.DAY_LIMIT, f"the day's limit of {dollars(limit)} is reached"
    task = state.task(run.task)
    own = task.limit if task is not None else None
    if task is None or own is None:
        return None
    if task.stopped or state.task_cost(run.task) + min(2 * run.response_cost, limits.last_part(own)) >= own:
        return Cause.TASK_LIMIT, f"the task's limit of {dollars(own)} is reached"
    return None


def shut(day: DayRow, limits: Limits, spent: int, *, begun: bool) -> str:
    """
    Why nothing of *day*, of which *spent* nano-USD are spent, starts under *limits*, or, with *begun*, goes on; empty when that
    is not so.
    """
    limit = limits.of_day(day)
    # What the person said comes first: of that nobody asks them, so it is told how they take it back.
    if day.closed(limit):
        return f"the day was ended at its limit of {dollars(limit)} ({dollars(spent)} spent); {REOPEN}"
    if day.begun_only and not begun:
        return f"only what had begun is finished on this day, as you said; {REOPEN}"
    if day.stopped(limit) or spent >= limit:
        return f"the day's limit of {dollars(limit)} is {limits.used(limit, spent)} ({dollars(spent)} spent)"
    return ""
