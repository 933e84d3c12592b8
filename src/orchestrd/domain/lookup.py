"""
Find the task or question that a person means.
"""

from __future__ import annotations

from orchestrd.domain.answers import closed
from orchestrd.domain.rows import ABOUT_DAY, QuestionRow, QuestionState, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import AlreadyAnswered, NotFound


def newest_day(state: State) -> str | None:
    """
    The newest day that has tasks, or None.
    """
    days = state.days()
    return days[-1].day if days else None


def resolve(state: State, name: str, day: str | None = None) -> TaskRow:
    """
    The task called *name*: a full name, or a short one, which means *day* or the newest day that has it.

    Raises `NotFound`, with the nearest names.
    """
    if "/" in name:
        found = state.task(name)
    elif day is not None:
        found = state.task(f"{day}/{name}")
    else:
        having = [row for row in state.tasks() if row.spec.id == name]
        found = having[-1] if having else None
    if found is None:
        known = [row.spec.id for row in state.tasks(day or newest_day(state))]
        where = f" on {day}" if day else ""
        hint = f"Known: {', '.join(known[:12])}" if known else "Nothing was submitted yet: orchctl submit FILE"
        raise NotFound(f"there is no task {name}{where}", hint=hint)
    return found


def question(state: State, task: str, name: str | None) -> QuestionRow:
    """
    The question by id or number, or the oldest open one of *task*.

    Raises `NotFound`, `AlreadyAnswered`.
    """
    asked = _asked_by_daemon(state, task, name)
    key = asked[0].task if asked else resolve(state, task).key
    asked = asked or state.questions(task=key)
    if name is not None:
        wanted = name if "#" in name else f"{key}#{name}"
        found = [q for q in asked if q.id == wanted or q.id.endswith(f"/{wanted}")]
        if not found:
            hint = f"Asked so far: {', '.join(q.id for q in asked)}" if asked else "It has asked nothing."
            raise NotFound(f"{key} has no question {name}", hint=hint)
        return found[0]
    opened = [q for q in asked if q.state is QuestionState.OPEN]
    if opened:
        return opened[0]
    if asked and asked[-1].answer is not None:
        raise AlreadyAnswered(closed(asked[-1]))
    raise NotFound(f"{key} has no open question", hint="See what is open: orchctl questions")


def _asked_by_daemon(state: State, subject: str, name: str | None) -> list[QuestionRow]:
    """
    The daemon's own questions about a day or the account that *subject* means: ``2026-11-22/_day``; ``_day``, of the newest day that has some; or a day,
    which means what is asked about it or, while it is open, about the account.
    """
    own = [q for q in state.questions() if q.of_daemon and not q.about_task]
    if state.day(subject) is not None:
        about_day = [q for q in own if q.task == f"{subject}/{ABOUT_DAY}"]
        asked = [q for q in own if q.task.startswith(f"{subject}/") and q.state is QuestionState.OPEN]
        first = asked[0].task if asked and name is None else f"{subject}/{ABOUT_DAY}"
        return [q for q in own if q.task == first] or about_day
    found = [q for q in own if q.task == subject or q.task.endswith(f"/{subject}")]
    return [q for q in found if q.task == found[-1].task]
