"""
A day's facts → the figures of its report.

Only what is recorded counts, and time enters as a value: the same facts give the same report, whenever it is made.
"""

from __future__ import annotations

import math

import msgspec

from orchestrd.domain.budget import Limits
from orchestrd.domain.events import CheckResult, DeliverableFound, FileChange
from orchestrd.domain.model import Cause, Containment, Outcome, TaskState, Usage
from orchestrd.domain.rows import QuestionState, RunRow, Spend, TaskRow
from orchestrd.domain.schedule import waits_for
from orchestrd.domain.state import State


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    One task: *cost* in nano-USD over all its runs, *worked* seconds without waiting, *drift* nano-USD by which the CLI's
    own accounts exceed tokens × prices.
    """

    id: str
    name: str
    module: str
    state: TaskState
    outcome: Outcome | None
    reason: str
    attempts: int
    cost: int
    usage: Usage
    worked: float
    tool_calls: int
    deliverables: tuple[DeliverableFound, ...]
    checks: tuple[CheckResult, ...]
    files: tuple[FileChange, ...]
    file_count: int
    left_out: tuple[str, ...]
    summary: str
    said: str
    warned: bool
    """True when its cost passed the warning threshold of its own limit."""
    applied: bool
    in_place: bool
    drift: int
    damaged: int
    leftovers: int
    quarantined: int
    containment: Containment | None
    """How the agent of its newest run was held; None where it had none, or an older version ran it."""


class QuestionReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    One question; *waited* is None while it is open.
    """

    id: str
    text: str
    state: QuestionState
    answer: str | None
    by: str | None
    waited: float | None


class ViolationReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    One forbidden act that was denied before it ran.
    """

    task: str
    tool: str
    rule: str
    target: str
    reason: str


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    A whole day.  Money in nano-USD; *by_module* and *by_model* split the same total.
    """

    day: str
    spent: int
    limit: int
    warned: bool
    stopped: bool
    halted: int
    """Runs that ended, or were told to, for want of money of the day."""
    usage: Usage
    worked: float
    tasks: tuple[TaskReport, ...]
    questions: tuple[QuestionReport, ...]
    violations: tuple[ViolationReport, ...]
    by_module: dict[str, int]
    by_model: dict[str, Spend]
    next_steps: tuple[str, ...]

    def count(self, *states: TaskState) -> int:
        """
        How many tasks are in one of *states*.
        """
        return sum(task.state in states for task in self.tasks)


def day_report(state: State, day: str, limits: Limits) -> DayReport:
    """
    The report of *day* from what *state* knows.
    """
    row = state.day(day)
    tasks = tuple(_task(state, task, limits) for task in state.tasks(day))
    runs = state.runs(day=day)
    by_module: dict[str, int] = {}
    for task in tasks:
        by_module[task.module or "(none)"] = by_module.get(task.module or "(none)", 0) + task.cost
    by_model: dict[str, Spend] = {}
    usage = Usage()
    for run in runs:
        usage += run.usage
        for model, spend in run.by_model.items():
            by_model[model] = by_model.get(model, Spend()).plus(spend.usage, spend.cost)
    questions = tuple(
        QuestionReport(
            id=q.id,
            text=q.text,
            state=q.state,
            answer=q.answer,
            by=q.answered_by,
            waited=None if q.state is QuestionState.OPEN else round(q.waited(q.asked_at), 1),
        )
        for q in state.questions(day=day)
    )
    violations = tuple(
        ViolationReport(task=v.run.split("/")[1], tool=v.tool, rule=v.rule, target=v.target, reason=v.reason)
        for v in state.violations(day=day)
    )
    limit = limits.of_day(row)
    stopped = row is not None and row.stopped(limit)
    return DayReport(
        day=day,
        spent=state.spent(day),
        limit=limit,
        warned=row is not None and row.warned(limit),
        stopped=stopped,
        halted=sum(Cause.DAY_LIMIT in (run.cause, run.stopping_cause, run.curtailed_cause) for run in runs),
        usage=usage,
        worked=round(sum(task.worked for task in tasks), 1),
        tasks=tasks,
        questions=questions,
        violations=violations,
        by_module=by_module,
        by_model=by_model,
        next_steps=tuple(_next_steps(tasks, questions, violations, stopped=stopped)),
    )


def _task(state: State, row: TaskRow, limits: Limits) -> TaskReport:
    # What a task waits for counts, but not until when: the report of the same facts is the same at any hour.
    wait = waits_for(state, row, limits, math.inf) if row.state is TaskState.QUEUED else None
    runs = state.runs(task=row.key)
    last = runs[-1] if runs else None
    usage = Usage()
    for run in runs:
        usage += run.usage
    return TaskReport(
        id=row.spec.id,
        name=row.spec.name,
        module=row.spec.module or "",
        state=TaskState.BLOCKED if wait is not None and wait.blocked else row.state,
        outcome=row.outcome,
        reason=wait.reason if wait is not None else row.reason or (last.reason if last else ""),
        attempts=row.attempts,
        cost=sum(run.cost for run in runs),
        usage=usage,
        worked=round(sum(_worked(run) for run in runs), 1),
        tool_calls=sum(run.tool_calls for run in runs),
        deliverables=last.deliverables if last and not last.open else _pending(row),
        checks=last.checks if last else (),
        files=last.files if last else (),
        file_count=max(last.file_count, len(last.files)) if last else 0,
        left_out=last.left_out if last else (),
        summary=last.summary if last else "",
        said=last.last_text if last else "",
        warned=row.limit is not None and row.warned(row.limit),
        applied=row.applied_at is not None,
        in_place=row.spec.isolation == "in_place",
        drift=sum(run.drift for run in runs),
        damaged=sum(run.damaged for run in runs),
        leftovers=sum(run.leftovers for run in runs),
        quarantined=sum(run.quarantined for run in runs),
        containment=next((run.containment for run in reversed(runs) if run.containment is not None), None),
    )


def _worked(run: RunRow) -> float:
    """
    Seconds of work of an ended run; an open one has no recorded end and counts with none.
    """
    return run.worked(run.ended_at) if run.ended_at is not None else 0.0


def _pending(row: TaskRow) -> tuple[DeliverableFound, ...]:
    return tuple(DeliverableFound(text=d.text, path=d.path, status="pending") for d in row.spec.deliverables)


def _next_steps(
    tasks: tuple[TaskReport, ...],
    questions: tuple[QuestionReport, ...],
    violations: tuple[ViolationReport, ...],
    *,
    stopped: bool,
) -> list[str]:
    steps: list[str] = []
    for question in questions:
        if question.state is QuestionState.OPEN:
            short = question.id.rpartition("/")[2].partition("#")[0]
            steps.append(f'Answer {question.id}: `orchctl answer {short} "…"`')
    steps += [
        f"{name} tried what is forbidden: see Violations above, and `orchctl logs {name}`"
        for name in dict.fromkeys(violation.task for violation in violations)
    ]
    for task in tasks:
        missing = [d.path or d.text for d in task.deliverables if d.status == "missing"]
        if task.state is TaskState.FAILED:
            steps.append(f"{task.id} failed ({task.reason}): `orchctl logs {task.id}`, then `orchctl retry {task.id}`")
        elif task.state is TaskState.SUCCEEDED and missing:
            steps.append(f"{task.id} says it is done, but is missing {', '.join(missing)}: `orchctl diff {task.id}`")
        elif task.state is TaskState.SUCCEEDED and task.files and not task.applied and not task.in_place:
            steps.append(f"Review {task.id}: `orchctl diff {task.id}`, take it: `orchctl apply {task.id}`")
        if task.left_out and not task.applied:
            names = ", ".join(task.left_out)
            steps.append(f"Copy what you need of {task.id}'s large files, which apply does not bring over: {names}")
    waiting = [task.id for task in tasks if not task.state.ended]
    if stopped and waiting:
        steps.append(f"The day's limit stopped {', '.join(waiting)}: raise max_cost_usd and submit the file again")
    return steps
