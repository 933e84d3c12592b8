"""
What facts about a task change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, known_run, known_task, move_task
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import Allowance, Row, TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition


def _task_submitted(state: State, e: ev.TaskSubmitted, at: float) -> list[Row]:
    if state.task(e.task) is not None:
        raise IllegalTransition(f"task {e.task} was submitted before")
    return [TaskRow(spec=e.spec, state=TaskState.QUEUED, submitted_at=at, changed_at=at), *_reopened(state, e.task)]


def _task_updated(state: State, e: ev.TaskUpdated, at: float) -> list[Row]:
    row = known_task(state, e.task)
    raised = row.raised if e.spec.max_cost == row.spec.max_cost else 0
    return [move_task(row, e, at, spec=e.spec, raised=raised)]


def _task_checking(state: State, e: ev.TaskChecking, at: float) -> list[Row]:
    return [move_task(known_task(state, e.task), e, at)]


def _task_succeeded(state: State, e: ev.TaskSucceeded, at: float) -> list[Row]:
    row = known_task(state, e.task)
    outcome = known_run(state, row.run).outcome if row.run else None
    return [move_task(row, e, at, outcome=outcome, reason="", ended_at=at, session=None)]


def _task_failed(state: State, e: ev.TaskFailed, at: float) -> list[Row]:
    row = known_task(state, e.task)
    changes = {"outcome": e.outcome, "reason": e.reason, "ended_at": at, "failures": row.failures + 1, "session": None}
    return [move_task(row, e, at, **changes)]


def _task_requeued(state: State, e: ev.TaskRequeued, at: float) -> list[Row]:
    row = known_task(state, e.task)
    changes = {"reason": e.reason, "not_before": e.not_before, "session": e.session, "refusals": e.refusals}
    changes |= {"parked_at": at if e.parked else None}
    if e.by_person:
        changes |= {"failures": 0, "fresh_starts": 0, "setbacks": 0, "stalls": 0, "held": ""}
    elif e.fresh:
        changes |= {"fresh_starts": row.fresh_starts + 1}
    elif e.setback:
        changes |= {"setbacks": row.setbacks + 1}
    elif e.stall:
        changes |= {"stalls": row.stalls + 1}
    elif e.counted:
        changes |= {"failures": row.failures + 1}
    if row.state.ended:
        changes |= {"outcome": None, "ended_at": None, "applied_at": None}
    return [move_task(row, e, at, **changes), *(_reopened(state, e.task) if e.by_person else [])]


def _reopened(state: State, task: str) -> list[Row]:
    """
    The day of *task*, which the person wants, when they had ended it: they are asked about it anew.
    """
    day = state.day(task.partition("/")[0])
    return [replace(day, closed_at=None)] if day is not None and day.closed_at is not None else []


def _task_cancelled(state: State, e: ev.TaskCancelled, at: float) -> list[Row]:
    row = known_task(state, e.task)
    return [move_task(row, e, at, reason=f"cancelled by {e.by}" if e.by else "cancelled", ended_at=at, session=None)]


def _task_held(state: State, e: ev.TaskHeld, _: float) -> list[Row]:
    return [replace(known_task(state, e.task), held=e.reason)]


def _task_allowed(state: State, e: ev.TaskAllowed, at: float) -> list[Row]:
    row = known_task(state, e.task)
    allowance = Allowance(act=e.act, tool=e.tool, target=e.target, by=e.by, at=at)
    return [replace(row, allowed={**row.allowed, e.allowance: allowance})]


def _task_disallowed(state: State, e: ev.TaskDisallowed, _: float) -> list[Row]:
    row = known_task(state, e.task)
    return [replace(row, allowed={name: one for name, one in row.allowed.items() if name != e.allowance})]


def _task_limit_warned(state: State, e: ev.TaskLimitWarned, _: float) -> list[Row]:
    return [replace(known_task(state, e.task), warned_at=e.limit)]


def _task_limit_reached(state: State, e: ev.TaskLimitReached, _: float) -> list[Row]:
    return [replace(known_task(state, e.task), warned_at=e.limit, stopped_at=e.limit)]


def _task_limit_raised(state: State, e: ev.TaskLimitRaised, _: float) -> list[Row]:
    row = known_task(state, e.task)
    return [replace(row, raised=row.raised + e.amount)]


def _task_applied(state: State, e: ev.TaskApplied, at: float) -> list[Row]:
    return [move_task(known_task(state, e.task), e, at, applied_at=at)]


FOLDS: Folds = {
    ev.TaskSubmitted: _task_submitted,
    ev.TaskUpdated: _task_updated,
    ev.TaskChecking: _task_checking,
    ev.TaskSucceeded: _task_succeeded,
    ev.TaskFailed: _task_failed,
    ev.TaskRequeued: _task_requeued,
    ev.TaskCancelled: _task_cancelled,
    ev.TaskApplied: _task_applied,
    ev.TaskHeld: _task_held,
    ev.TaskAllowed: _task_allowed,
    ev.TaskDisallowed: _task_disallowed,
    ev.TaskLimitWarned: _task_limit_warned,
    ev.TaskLimitReached: _task_limit_reached,
    ev.TaskLimitRaised: _task_limit_raised,
}
