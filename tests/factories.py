"""
Values for tests: each builder gives something valid, and takes what the test is about as overrides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Any

from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits, Price, PriceTable
from orchestrd.domain.fold import fold
from orchestrd.domain.model import NANO, Outcome, Task, TaskFile, TaskState, Usage
from orchestrd.domain.rows import DayRow, QuestionRow, Row, RunPhase, RunRow, Spend, TaskRow
from orchestrd.domain.schedule import Rules
from orchestrd.domain.state import State

DAY = "2026-11-22"
TASK = f"{DAY}/task-001"
RUN = f"{TASK}/1"
QUESTION = f"{TASK}#1"
NOW = 1_795_341_600.0
"""2026-11-22 10:00:00 UTC."""
OPUS = "claude-opus-5-5"
SONNET = "claude-sonnet-5-5"
PRICES = PriceTable(
    date="2026-11-20",
    models={
        OPUS: Price(input=4.0, output=20.0, cache_write_5m=5.0, cache_write_1h=8.0, cache_read=0.2),
        SONNET: Price(input=2.0, output=10.0, cache_write_5m=2.5, cache_write_1h=4.0, cache_read=0.1),
    },
)
LIMITS = Limits(daily=50 * NANO)


class FixedClock:
    """
    A clock that stands until it is moved.
    """

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def zone(self) -> tzinfo:
        return UTC


def make_task(id: str = "task-001", **overrides: Any) -> Task:  # noqa: A002 - the field's name
    """
    A task wanted.
    """
    values: dict[str, Any] = {"day": DAY, "id": id, "name": f"Do {id}", "description": f"All of {id}."}
    return Task(**(values | overrides))


def make_file(*tasks: Task, day: str = DAY, max_cost: int | None = None) -> TaskFile:
    """
    A day's file with *tasks* in this order.
    """
    return TaskFile(day=day, tasks=tuple(tasks), max_cost=max_cost)


def make_day(day: str = DAY, **overrides: Any) -> DayRow:
    """
    A day that was submitted.
    """
    return DayRow(**({"day": day, "source": f"tasks/{day}.yaml", "submitted_at": NOW} | overrides))


def make_task_row(id: str = "task-001", *, state: TaskState = TaskState.QUEUED, **overrides: Any) -> TaskRow:  # noqa: A002
    """
    A task and where it stands; overrides that are fields of the task itself go into its spec.
    """
    spec = {key: overrides.pop(key) for key in tuple(overrides) if key in Task.__struct_fields__}
    values: dict[str, Any] = {"state": state, "submitted_at": NOW, "changed_at": NOW}
    return TaskRow(spec=make_task(id, **spec), **(values | overrides))


def make_run(key: str = RUN, **overrides: Any) -> RunRow:
    """
    A run that streams.
    """
    task, _, attempt = key.rpartition("/")
    values: dict[str, Any] = {
        "key": key,
        "task": task,
        "attempt": int(attempt),
        "session": f"session-of-{attempt}",
        "resumes": False,
        "tree": "/trees/1",
        "phase": RunPhase.STREAMING,
        "started_at": NOW,
    }
    return RunRow(**(values | overrides))


def make_question(id: str = QUESTION, **overrides: Any) -> QuestionRow:  # noqa: A002 - the field's name
    """
    An open question.
    """
    task = id.rpartition("#")[0]
    values: dict[str, Any] = {"id": id, "task": task, "run": f"{task}/1", "text": "Which database?", "asked_at": NOW}
    return QuestionRow(**(values | overrides))


def make_rules(**overrides: Any) -> Rules:
    """
    Three slots and the default limits.
    """
    return Rules(**({"max_concurrent": 3, "limits": LIMITS} | overrides))


def spend(dollars: float, model: str = OPUS) -> dict[str, Spend]:
    """
    One model's settled spend.
    """
    return {model: Spend(usage=Usage(input=1), cost=round(dollars * NANO))}


def started(task: str = TASK, attempt: int = 1, **overrides: Any) -> ev.RunStarted:
    """
    The start of a run of *task*.
    """
    values: dict[str, Any] = {
        "run": f"{task}/{attempt}",
        "task": task,
        "attempt": attempt,
        "session": f"session-of-{attempt}",
        "tree": "/trees/1",
    }
    return ev.RunStarted(**(values | overrides))


def initialised(run: str = RUN) -> ev.RunInitialised:
    """
    The first turn of *run*.
    """
    return ev.RunInitialised(run=run, model=OPUS, cli_version="2.1.330")


def exited(run: str = RUN, outcome: Outcome = Outcome.SUCCEEDED, **overrides: Any) -> ev.RunExited:
    """
    The end of *run*.
    """
    return ev.RunExited(**({"run": run, "outcome": outcome, "exit_code": 0} | overrides))


def asked(question: str = QUESTION, run: str = RUN, **overrides: Any) -> ev.QuestionAsked:
    """
    A question of *run*, asked by tool.
    """
    values: dict[str, Any] = {"question": question, "run": run, "text": "Which database?", "request": "req-1"}
    return ev.QuestionAsked(**(values | overrides))


def answered(question: str = QUESTION, answer: str = "SQLite", by: str = "cli") -> ev.QuestionAnswered:
    """
    Its answer.
    """
    return ev.QuestionAnswered(question=question, answer=answer, by=by)


def submitted(*tasks: Task, day: str = DAY, limit: int | None = None) -> list[ev.AnyEvent]:
    """
    A day with *tasks*.
    """
    return [
        ev.DaySubmitted(day=day, source=f"tasks/{day}.yaml", limit=limit),
        *(ev.TaskSubmitted(task=task.key, spec=task) for task in tasks),
    ]


def records(events: Iterable[ev.AnyEvent], *, seq: int = 0, at: float = NOW, step: float = 1.0) -> list[ev.Record]:
    """
    *events* with numbers and times, one *step* apart.
    """
    return [ev.Record(seq=seq + n, at=at + (n - 1) * step, event=event) for n, event in enumerate(events, 1)]


def tell(state: State, *events: ev.AnyEvent, at: float = NOW) -> list[Row]:
    """
    Fold *events* into *state*, all at the same time; gives the rows of the last one.
    """
    rows: list[Row] = []
    for record in records(events, at=at, step=0.0):
        rows = fold(state, record)
        for row in rows:
            state.put(row)
    return rows


def running_state(**task: Any) -> State:
    """
    A state with one task whose first run streams.
    """
    state = State()
    tell(state, *submitted(make_task(**task)), started(), initialised())
    return state
