"""
What the folds share: the rows that a fact is about, a step of a task or a run, and the clock of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import QuestionRow, QuestionState, Row, RunPhase, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.transitions import RUN_TABLE, TASK_TABLE, IllegalTransition, step

Folds = dict[type, Callable[..., list[Row]]]
"""Type of a fact to what it changes: a function of the state, the fact, and when it was recorded (Unix seconds)."""


def known_task(state: State, key: str) -> TaskRow:
    """
    The row of a task.

    Raises `IllegalTransition` when there is none.
    """
    row = state.task(key)
    if row is None:
        raise IllegalTransition(f"task {key} is not known")
    return row


def known_run(state: State, key: str) -> RunRow:
    """
    The row of a run.

    Raises `IllegalTransition` when there is none.
    """
    row = state.run(key)
    if row is None:
        raise IllegalTransition(f"run {key} is not known")
    return row


def move_task(row: TaskRow, event: ev.Event, at: float, **changes: object) -> TaskRow:
    """
    The row after *event*, with *changes*.

    Raises `IllegalTransition` when the event cannot come now.
    """
    new = step(TASK_TABLE, row.state, event, f"task {row.key}")
    return replace(row, state=new, changed_at=at, **changes)


def move_run(row: RunRow, event: ev.Event, **changes: object) -> RunRow:
    """
    The row after *event*, with *changes*.

    Raises `IllegalTransition` when the event cannot come now.
    """
    new = step(RUN_TABLE, row.phase, event, f"run {row.key}")
    return replace(row, phase=new, **changes)


def stand(
    run: RunRow, task: TaskRow, questions: Iterable[QuestionRow], at: float, *, frozen: bool
) -> tuple[RunRow, TaskRow]:
    """
    The run and its task as they stand from *at* on, with all its *questions*: they wait for a person while the agent can do
    nothing before there is an answer.

    What it asked by tool holds the agent's call.  What it asked by file holds nothing: it waits for that once its turn is over.
    """
    asks = [question for question in questions if question.state is QuestionState.OPEN]
    goes_on = run.phase in (RunPhase.STARTING, RunPhase.STREAMING, RunPhase.WAITING)
    waits = goes_on and any(question.request is not None or run.rests for question in asks)
    phase = run.phase
    if waits or phase is RunPhase.WAITING:
        phase = RunPhase.WAITING if waits else RunPhase.STREAMING
    if run.open:
        run = replace(run, phase=phase, works_on=run.works_on and waits, **clock(run, at, waits=waits, frozen=frozen))
    if task.run == run.key and task.state in (TaskState.RUNNING, TaskState.WAITING):
        # That of a run which is being ended waits no longer than it did.
        still = waits if goes_on else task.state is TaskState.WAITING and bool(asks)
        state = TaskState.WAITING if still else TaskState.RUNNING
        task = task if task.state is state else replace(task, state=state, changed_at=at)
    return run, task


def go_on(state: State, run: RunRow, at: float) -> list[Row]:
    """
    The rows of *run* once its agent asks the model for something again, be it in the background of a question.
    """
    if not run.rests and run.phase is not RunPhase.WAITING:
        return [run]
    rows: list[Row] = []
    if run.rests:
        run, task = stand(
            replace(run, rests=False, leaves=False),
            known_task(state, run.task),
            state.questions(run=run.key),
            at,
            frozen=state.home().frozen,
        )
        rows = [task]
    return [replace(run, works_on=run.phase is RunPhase.WAITING), *rows]


def clock(run: RunRow, at: float, *, waits: bool, frozen: bool) -> dict[str, object]:
    """
    The run's clock from *at* on: it stands while the run *waits* for a person, else while the home is *frozen*, so that no
    second is counted under both.
    """
    frozen = frozen and not waits
    if waits == (run.waiting_since is not None) and frozen == (run.frozen_since is not None):
        return {}
    waited = 0.0 if run.waiting_since is None else max(0.0, at - run.waiting_since)
    stood = 0.0 if run.frozen_since is None else max(0.0, at - run.frozen_since)
    return {
        "waited": run.waited + waited,
        "waiting_since": at if waits else None,
        "frozen": run.frozen + stood,
        "frozen_since": at if frozen else None,
    }
