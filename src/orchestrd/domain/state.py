"""
All rows, held in memory: what every decision reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from orchestrd.domain.rows import DayRow, QuestionRow, Row, RunRow, TaskRow, ViolationRow

RowT = TypeVar("RowT", DayRow, TaskRow, RunRow, QuestionRow, ViolationRow)


class State:
    """
    All rows, by kind and key.  A *draft* sees another state's rows and keeps its own changes apart.
    """

    def __init__(self, rows: Iterable[Row] = (), *, under: State | None = None) -> None:
        self._under = under
        self._rows: dict[type[Row], dict[str, Row]] = {}
        for row in rows:
            self.put(row)

    def draft(self) -> State:
        """
        A state that starts as this one; changes to it do not show here.
        """
        return State(under=self)

    def put(self, row: Row) -> None:
        """
        Add the row, or replace the one of its kind and key.
        """
        self._rows.setdefault(type(row), {})[row.key] = row

    def own_rows(self) -> Iterator[Row]:
        """
        The rows put into this state itself, not those it sees through.
        """
        for rows in self._rows.values():
            yield from rows.values()

    def _find(self, kind: type[RowT], key: str) -> RowT | None:
        row = self._rows.get(kind, {}).get(key)
        if row is None and self._under is not None:
            return self._under._find(kind, key)  # noqa: SLF001 - another State
        return row  # type: ignore[return-value]  # rows are kept by kind

    def _all(self, kind: type[RowT]) -> dict[str, RowT]:
        own: dict[str, RowT] = self._rows.get(kind, {})  # type: ignore[assignment]  # rows are kept by kind
        return own if self._under is None else {**self._under._all(kind), **own}  # noqa: SLF001 - another State

    def day(self, day: str) -> DayRow | None:
        """
        The day's row, or None.
        """
        return self._find(DayRow, day)

    def task(self, key: str) -> TaskRow | None:
        """
        The task's row by full name, or None.
        """
        return self._find(TaskRow, key)

    def run(self, key: str) -> RunRow | None:
        """
        The run's row by full name, or None.
        """
        return self._find(RunRow, key)

    def question(self, key: str) -> QuestionRow | None:
        """
        The question's row by id, or None.
        """
        return self._find(QuestionRow, key)

    def days(self) -> list[DayRow]:
        """
        All days, oldest first.
        """
        return sorted(self._all(DayRow).values(), key=lambda d: d.day)

    def tasks(self, day: str | None = None) -> list[TaskRow]:
        """
        The tasks of *day*, or of all days, in file order.
        """
        rows = (t for t in self._all(TaskRow).values() if day is None or t.spec.day == day)
        return sorted(rows, key=lambda t: (t.spec.day, t.spec.order, t.spec.id))

    def runs(self, *, day: str | None = None, task: str | None = None) -> list[RunRow]:
        """
        The runs of a day, of a task, or all, oldest attempt first.
        """
        rows = (
            r
            for r in self._all(RunRow).values()
            if (task is None or r.task == task) and (day is None or r.task.partition("/")[0] == day)
        )
        return sorted(rows, key=lambda r: (r.task, r.attempt))

    def questions(
        self, *, day: str | None = None, task: str | None = None, run: str | None = None
    ) -> list[QuestionRow]:
        """
        The questions of a day, task or run, in the order they were asked.
        """
        rows = (
            q
            for q in self._all(QuestionRow).values()
            if (task is None or q.task == task)
            and (run is None or q.run == run)
            and (day is None or q.task.partition("/")[0] == day)
        )
        return sorted(rows, key=lambda q: (q.asked_at, q.task, q.number))

    def violations(self, *, day: str | None = None, task: str | None = None) -> list[ViolationRow]:
        """
        The violations of a day or task, in the order they were tried.
        """
        rows = (
            v
            for v in self._all(ViolationRow).values()
            if (task is None or v.run.rpartition("/")[0] == task) and (day is None or v.run.partition("/")[0] == day)
        )
        return sorted(rows, key=lambda v: (v.at, v.key))

    def spent(self, day: str) -> int:
        """
        Nano-USD that the day's runs have cost so far, of every attempt and model.
        """
        return sum(r.cost for r in self.runs(day=day))

    def task_cost(self, task: str) -> int:
        """
        Nano-USD over all attempts of the task.
        """
        return sum(r.cost for r in self.runs(task=task))
