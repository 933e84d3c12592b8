"""
What a task needs before it can start.
"""

from __future__ import annotations

from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import TaskRow
from orchestrd.domain.state import State


def unmet(state: State, task: TaskRow) -> tuple[str, TaskRow | None] | None:
    """
    The first dependency of *task* that has not succeeded: its name, and its row if it is known; None when all have.
    """
    for name in task.spec.depends_on:
        needed = state.task(f"{task.spec.day}/{name}")
        if needed is None or needed.state is not TaskState.SUCCEEDED:
            return name, needed
    return None
