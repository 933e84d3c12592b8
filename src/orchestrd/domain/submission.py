"""
A task file against what is known: what is new, what changed, and what may not change any more.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from orchestrd.domain import ceiling
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Task, TaskFile, TaskState
from orchestrd.domain.money import dollars
from orchestrd.domain.rows import TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.taskfile.ids import meeting
from orchestrd.errors import Refused


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a submission would do, by task id, and the facts that do it; *notes* are sentences for the person.
    """

    day: str
    accepted: tuple[str, ...]
    unchanged: tuple[str, ...]
    updated: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    limit: int | None
    """The limit of the day that is named, in this file or in one before it, in nano-USD; None for the configured one."""
    raised: int
    """Nano-USD that the person gave the day beyond that limit."""
    facts: tuple[ev.AnyEvent, ...]


def compare(state: State, file: TaskFile, source: str) -> Submission:
    """
    What submitting *file* means.  Submitting the same file again changes nothing.  A file that names no limit says nothing of
    the one that the day has by another file: that stays, and what the person decided under it.

    Raises `Refused` when a task that is being worked on would change in more than its limit, and when a new one would share files with one of the
    day.
    """
    day = state.day(file.day)
    facts: list[ev.AnyEvent] = []
    accepted, unchanged, updated, notes = [], [], [], []
    limit = file.max_cost
    if day is not None and limit is None and day.source != source:
        limit = day.limit
        if limit is not None:
            held = dollars(limit + day.raised)
            notes.append(f"no max_cost_usd is named: the day keeps the limit of {held} that it has by {day.source}")
    elif day is None or day.limit != limit or day.source != source:
        facts.append(ev.DaySubmitted(day=file.day, source=source, limit=limit))
    for task in file.tasks:
        row = state.task(task.key)
        if row is None:
            accepted.append(task.id)
            facts.append(ev.TaskSubmitted(task=task.key, spec=task))
        elif same(row.spec, task):
            unchanged.append(task.id)
        elif row.state.alive and same(replace(row.spec, max_cost=task.max_cost), task):
            updated.append(task.id)
            facts.append(ev.TaskUpdated(task=task.key, spec=task))
        elif row.state.alive:
            raise Refused(
                f"{task.key} is {row.state} and its text in {source} has changed; nothing was submitted",
                hint=f"Let it end or `orchctl cancel {task.id}` first, or put its text back.",
            )
        else:
            updated.append(task.id)
            facts.append(ev.TaskUpdated(task=task.key, spec=task))
            if row.state.ended:
                notes.append(f"{task.id} has {_ended(row)} already: `orchctl retry {task.id}` runs its new text")
    met = meeting(accepted, [row.spec.id for row in state.tasks(file.day)])
    if met is not None:
        raise Refused(
            f"task {met[0]!r} would share files with {met[1]!r}, which {file.day} has already; nothing was submitted",
            hint=f"Questions of a task `x` are written to `x-2.md`, …: give {met[0]!r} another id.",
        )
    named = {task.id for task in file.tasks}
    missing = tuple(row.spec.id for row in state.tasks(file.day) if row.spec.id not in named)
    for name in missing:
        row = state.task(f"{file.day}/{name}")
        if row is not None and not row.state.ended:
            notes.append(f"{name} was submitted before and is no longer in the file; it stays: `orchctl cancel {name}`")
    return Submission(
        day=file.day,
        accepted=tuple(accepted),
        unchanged=tuple(unchanged),
        updated=tuple(updated),
        missing=missing,
        notes=tuple(notes),
        limit=limit,
        raised=day.raised if day is not None and day.limit == limit else 0,
        facts=tuple(facts),
    )


def halted(state: State, plan: Submission, limits: Limits) -> str:
    """
    Why what *plan* brings does not start under the limit that its day had in *state* before it, as a sentence for the person;
    empty when it brings nothing, names another limit, or the day goes on.
    """
    day = state.day(plan.day)
    if day is None or day.limit != plan.limit or not (plan.accepted or plan.updated):
        return ""
    limit, spent = limits.of_day(day), state.spent(day.day)
    if day.closed(limit) and plan.accepted:
        figures = f"{dollars(limit)} ({dollars(spent)} spent)"
        return f"{day.day} was ended at its limit of {figures}: for what is new you are asked about it again"
    shut = ceiling.shut(day, limits, spent, begun=False)
    return f"nothing new starts: {shut}" if shut else ""


def same(old: Task, new: Task) -> bool:
    """
    True when the two ask for the same; the place in the file does not matter.
    """
    return replace(old, order=0) == replace(new, order=0)


def _ended(row: TaskRow) -> str:
    return "been cancelled" if row.state is TaskState.CANCELLED else str(row.state)
