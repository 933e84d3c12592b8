"""
Who may start now, and why the others may not.

``decide`` is a pure function of the state, the settings and the time; it gives the tasks to start in order, one reason
for each task that waits, and the next moment at which waiting by itself changes something.
"""

from __future__ import annotations

from datetime import UTC, tzinfo

import msgspec
from msgspec import structs

from orchestrd.domain import account, ceiling
from orchestrd.domain.budget import Limits
from orchestrd.domain.dependencies import unmet
from orchestrd.domain.model import Isolation, Priority, TaskState
from orchestrd.domain.money import dollars
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.room import Room, never, shortage
from orchestrd.domain.rows import RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.wallclock import ahead, moment
from orchestrd.moments import dated

LOOK_SECONDS = 3.0
"""How soon room is looked for again while a task waits for it."""
_RANK = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the scheduler is told by the configuration.

    *waiting_frees_slot_after* is how many seconds a run waits for a person before its slot goes to another task; *quiet* are the
    hours in which nothing comes back by itself, or None.
    """

    max_concurrent: int
    limits: Limits
    waiting_frees_slot_after: float = 300.0
    quiet: Quiet | None = None


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why a queued task does not start; *stuck* when nothing but the person will change it, *until* the wall time before which it
    will not end, where that is known.
    """

    reason: str
    blocked: bool = False
    stuck: bool = False
    until: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """
    Task keys to start, in order; why each other queued task waits; and the wall time to look again, or None.  *shares* are the
    nano-USD that are kept for each start; *short* says in brief that a task waits for room, and is empty otherwise.
    """

    starts: tuple[str, ...]
    waits: dict[str, Wait]
    look_again: float | None
    shares: dict[str, int] = {}
    short: str = ""


def _share(state: State, task: TaskRow, limits: Limits, shares: dict[str, int]) -> int | Wait:
    """
    What is kept of its day's limit for *task*, which starts beside those that get *shares*; or why it waits for money.
    """
    day = task.spec.day
    beside = [share for key, share in shares.items() if key.startswith(f"{day}/")]
    live = state.live(day)
    share = ceiling.affordable(state, task, limits, sum(beside), alone=not live and not beside)
    if share is not None:
        return share
    limit, spent = ceiling.limit_of(state, limits, day), state.spent(day)
    held = ceiling.kept(state, day, limit) + sum(beside)
    need = ceiling.expected(state, task, limits)
    figures = f"of the day's {dollars(limit)}, {dollars(spent)} are spent"
    if held:
        figures += f" and {dollars(held)} kept for tasks at work"
    # Where another one can go on by itself the person is not asked yet.
    stuck = not live and not beside and ceiling.stuck(state, limits, day)
    return Wait(reason=f"waits for money: it may need {dollars(need)}; {figures}", stuck=stuck)


def frozen(state: State, zone: tzinfo) -> Wait | None:
    """
    Why nothing may start while the home is frozen, with the time of day in *zone*; None when it is not.
    """
    since = state.home().frozen_since
    if since is None:
        return None
    return Wait(reason=f"frozen since {dated(since, zone):%H:%M}; orchctl thaw", stuck=True)


def decide(
    state: State, rules: Rules, now: float, *, hold: Wait | None = None, room: Room = (), zone: tzinfo = UTC
) -> Decision:
    """
    What to do at wall time *now*.  *hold* is why nothing at all may start, or None; *room* is what agents have room in; times
    of day are told in *zone*.
    """
    days = state.active_days()
    queued = [t for day in days for t in state.tasks(day) if t.state is TaskState.QUEUED]
    queued.sort(key=lambda t: (_RANK[t.spec.priority], t.spec.day, t.spec.order))
    live = [r for day in days for r in state.runs(day=day) if r.open]
    turn = account.turn(state, now, zone, rules.quiet)
    if turn.single:
        queued.sort(key=lambda t: account.place(state, t))
    if hold is None and turn.reason:
        hold = Wait(reason=turn.reason, stuck=turn.stuck, until=turn.until)
    short = never(room) if hold is None and queued else None
    if short is not None:
        hold = Wait(reason=short.reason, stuck=True)
    taken = [r for r in live if _holds_slot(r, rules, now)]
    free = rules.max_concurrent - len(taken)
    in_place = any(_in_place(state, r) for r in live)
    due = [r.waiting_since + rules.waiting_frees_slot_after for r in taken if r.waiting_since is not None]
    shares: dict[str, int] = {}
    waits: dict[str, Wait] = {}
    for task in queued:
        wait = waits_for(state, task, rules.limits, now, hold=hold)
        if wait is None and turn.single and shares:
            wait = Wait(reason="agents come back one after another")
        if wait is None and turn.rest is not None and task.parked_at is not None:
            wait = Wait(reason=f"it comes back after the quiet hours, from {moment(turn.rest, now, zone)}")
            due.append(turn.rest)
        if wait is None and free <= 0:
            wait = Wait(reason=f"all {rules.max_concurrent} agent slots are taken")
        if wait is None and task.spec.isolation is Isolation.IN_PLACE and in_place:
            wait = Wait(reason="another task works in the project's own tree")
        if wait is None:
            # All are promised the same: where one has no room, none after it has.
            short = short or shortage(room, [*(r.key for r in live), *shares])
            wait = None if short is None else Wait(reason=short.reason)
        if wait is None:
            share = _share(state, task, rules.limits, shares)
            if isinstance(share, Wait):
                wait = share
            else:
                shares[task.key] = share
        if wait is None:
            free -= 1
            in_place = in_place or task.spec.isolation is Isolation.IN_PLACE
        else:
            waits[task.key] = wait
            if (start := max(not_before(task, now), task.spec.start_at or 0.0)) > now:
                due.append(start)
    if short is not None:
        due.append(now + LOOK_SECONDS)
    if turn.until is not None and queued:
        due.append(turn.until)
    brief = short.brief if short else ""
    return Decision(starts=tuple(shares), waits=waits, look_again=min(due, default=None), shares=shares, short=brief)


def waits_for(state: State, task: TaskRow, limits: Limits, now: float, *, hold: Wait | None = None) -> Wait | None:
    """
    What keeps a queued *task* from starting besides slots: its dependencies, the day's limit, its start
    time, or *hold*.
    """
    found = unmet(state, task)
    if found is None:
        return _own_wait(state, task, limits, now, hold)
    name, needed = found
    if needed is None:
        return Wait(reason=f"needs {name}, which was never submitted", blocked=True, stuck=True)
    if needed.state in (TaskState.FAILED, TaskState.CANCELLED):
        return Wait(reason=f"needs {name}, which {_ended(needed)}", blocked=True, stuck=True)
    stuck = _stuck(state, needed, limits, now, hold)
    shown = TaskState.BLOCKED if needed.state is TaskState.QUEUED and unmet(state, needed) is not None else needed.state
    return Wait(reason=f"needs {name}, which is {shown}", blocked=True, stuck=stuck)


def _stuck(state: State, task: TaskRow, limits: Limits, now: float, hold: Wait | None) -> bool:
    """
    True when only the person can get *task* going: it, or what it needs at the end of any chain, waits for them.
    """
    seen: set[str] = set()
    while task.state is TaskState.QUEUED and task.key not in seen:
        seen.add(task.key)
        found = unmet(state, task)
        if found is None:
            wait = _own_wait(state, task, limits, now, hold)
            return wait is not None and wait.stuck
        _, needed = found
        if needed is None:
            return True
        task = needed
    return task.state in (TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED)


def _own_wait(state: State, task: TaskRow, limits: Limits, now: float, hold: Wait | None) -> Wait | None:
    """
    What keeps a task that needs no other from starting.
    """
    if task.stopped or ceiling.own_left(state, task) == 0:
        return Wait(reason=f"the task's own limit of {dollars(task.limit or 0)} is reached", stuck=True)
    day = state.day(task.spec.day)
    shut = ceiling.shut(day, limits, state.spent(day.day), begun=task.attempts > 0) if day is not None else ""
    if shut:
        return Wait(reason=shut, stuck=True)
    pause, start = not_before(task, now), task.spec.start_at or 0.0
    if max(pause, start) <= now:
        return hold
    own = Wait(reason=(task.reason or "waits before another try") if pause >= start else "waits for its start time")
    # What will keep it after that comes first: nobody should wait for its own moment in vain.
    if hold is None or not (hold.stuck or (hold.until or 0.0) > max(pause, start)):
        return own
    return structs.replace(hold, reason=f"{hold.reason}; beside that, {own.reason}")


def view(task: TaskRow, decision: Decision) -> tuple[TaskState, str]:
    """
    The state and the one-line reason to show for *task*: queued behind a dependency shows as blocked.
    """
    wait = decision.waits.get(task.key)
    if task.state is TaskState.QUEUED and wait is not None:
        return (TaskState.BLOCKED if wait.blocked else TaskState.QUEUED), wait.reason
    return task.state, task.reason


def settled(state: State, day: str, decision: Decision) -> bool:
    """
    True when nothing more happens to the day's tasks unless the person does something.
    """
    for task in state.tasks(day):
        if task.state.ended:
            continue
        wait = decision.waits.get(task.key)
        if task.state is not TaskState.QUEUED or wait is None or not wait.stuck:
            return False
    return True


def _holds_slot(run: RunRow, rules: Rules, now: float) -> bool:
    # The sum that `look_again` names, so that rounding never makes that moment too early.
    since = run.waiting_since
    return since is None or ahead(since + rules.waiting_frees_slot_after, now, since=since)


def _in_place(state: State, run: RunRow) -> bool:
    task = state.task(run.task)
    return task is not None and task.spec.isolation is Isolation.IN_PLACE


def not_before(task: TaskRow, now: float) -> float:
    """
    The end of the pause before another try.  It began when the task was last changed.
    """
    return task.not_before if ahead(task.not_before, now, since=task.changed_at) else 0.0


def _ended(task: TaskRow) -> str:
    return "was cancelled" if task.state is TaskState.CANCELLED else "failed"
