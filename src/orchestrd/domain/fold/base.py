"""
What the folds share: the rows that a fact is about, a step of a task or a run, and the clock of a run.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row, RunRow, TaskRow
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
