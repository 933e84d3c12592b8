"""
All rows, held in memory: what every decision reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from orchestrd.domain.rows import DayRow, HomeRow, QuestionRow, Row, RunRow, SnapshotsRow, TaskRow, ViolationRow

FoundT = TypeVar("FoundT")
RowT = TypeVar("RowT", HomeRow, DayRow, TaskRow, RunRow, QuestionRow, ViolationRow, SnapshotsRow)

NEW_HOME = HomeRow()
"""The home of which nothing is recorded yet."""


class State:
    """
    All rows, by kind, day and key.  A *draft* sees another state's rows and keeps its own changes apart.

    Every key (but the home's) begins with its day, so what concerns one day is found without looking at the others.
    """

    def __init__(self, rows: Iterable[Row] = (), *, under: State | None = None) -> None:
        self._under = under
        self._rows: dict[tuple[type[Row], str], dict[str, Row]] = {}
        self._busy: dict[str, set[str]] = {}
        self._runs: dict[str, set[str]] = {}
        self._found: dict[str, object] = {}
        self._spent: dict[str, int] = {}
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
        day = _day(row.key)
        self._found.clear()
        self._rows.setdefault((type(row), day), {})[row.key] = row
        if isinstance(row, RunRow):
            self._runs.setdefault(row.task, set()).add(row.key)
        if isinstance(row, TaskRow | RunRow | DayRow):
            busy = self._busy.setdefault(day, set())
            (busy.add if _unfinished(row) else busy.discard)(row.key)
            self._spent.pop(day, None)

    def put_all(self, rows: Iterable[Row]) -> None:
        """
        `put` each of *rows*, all of which are made before the first is put.
        """
        for row in list(rows):
            self.put(row)

    def once(self, name: str, find: Callable[[], FoundT]) -> FoundT:
        """
        What *find* finds in this state under *name*: it is looked for once, and again after the next change.
        """
        if name not in self._found:
            self._found[name] = find()
        return cast("FoundT", self._found[name])

    def own_rows(self) -> Iterator[Row]:
        """
        The rows put into this state itself, not those it sees through.
        """
        for rows in self._rows.values():
            yield from rows.values()

    def active_days(self) -> list[str]:
        """
        The days with a task that has not ended or a run that is open, or about which the person is asked, oldest first; a draft
        may name a day too many.
        """
        own = {day for day, keys in self._busy.items() if keys}
        return sorted(own.union(self._under.active_days()) if self._under is not None else own)

    def _find(self, kind: type[RowT], key: str) -> RowT | None:
        row = self._rows.get((kind, _day(key)), {}).get(key)
        if row is None and self._under is not None:
            return self._under._find(kind, key)  # noqa: SLF001 - another State
        return row  # type: ignore[return-value]  # rows are kept by kind

    def _all(self, kind: type[RowT], day: str | None) -> list[RowT]:
        if day is not None:
            return list(self._of_day(kind, day).values())
        return [row for known in sorted(self._days(kind)) for row in self._of_day(kind, known).values()]

    def _of_day(self, kind: type[RowT], day: str) -> dict[str, RowT]:
        own: dict[str, RowT] = self._rows.get((kind, day), {})  # type: ignore[assignment]  # rows are kept by kind
        return own if self._under is None else {**self._under._of_day(kind, day), **own}  # noqa: SLF001 - another State

    def _days(self, kind: type[Row]) -> set[str]:
        own = {day for known, day in self._rows if known is kind}
        return own if self._under is None else own | self._under._days(kind)  # noqa: SLF001 - another State

    def home(self) -> HomeRow:
        """
        The home's own row.
        """
        return self._find(HomeRow, NEW_HOME.key) or NEW_HOME

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
        return sorted(self._all(DayRow, None), key=lambda d: d.day)

    def tasks(self, day: str | None = None) -> list[TaskRow]:
        """
        The tasks of *day*, or of all days, in file order.
        """
        return sorted(self._all(TaskRow, day), key=lambda t: (t.spec.day, t.spec.order, t.spec.id))

    def runs(self, *, day: str | None = None, task: str | None = None) -> list[RunRow]:
        """
        The runs of a day, of a task, or all, oldest attempt first.
        """
        if task is not None:
            rows = [row for key in self._runs_of(task) if (row := self.run(key)) is not None]
        else:
            rows = self._all(RunRow, day)
        return sorted(rows, key=lambda r: (r.task, r.attempt))

    def _runs_of(self, task: str) -> set[str]:
        own = self._runs.get(task, set())
        return own | self._under._runs_of(task) if self._under is not None else own  # noqa: SLF001 - another State

    def live(self, day: str) -> list[RunRow]:
        """
        The open runs of *day*, by name.
        """
        return [row for key in sorted(self._busy_keys(day)) if (row := self.run(key)) is not None and row.open]

    def _busy_keys(self, day: str) -> set[str]:
        """
        The tasks that have not ended and the runs that are open, and the day if it is asked about; a draft may name some too many.
        """
        own = self._busy.get(day, set())
        return own | self._under._busy_keys(day) if self._under is not None else own  # noqa: SLF001 - another State

    def questions(
        self, *, day: str | None = None, task: str | None = None, run: str | None = None
    ) -> list[QuestionRow]:
        """
        The questions of a day, task or run, in the order they were asked.
        """
        subject = task if task is not None else run
        found = self._all(QuestionRow, _day(subject) if subject is not None else day)
        rows = (q for q in found if (task is None or q.task == task) and (run is None or q.run == run))
        return sorted(rows, key=lambda q: (q.asked_at, q.task, q.number))

    def violation(self, key: str) -> ViolationRow | None:
        """
        The violation's row by key, or None.
        """
        return self._find(ViolationRow, key)

    def violations(self, *, day: str | None = None, task: str | None = None) -> list[ViolationRow]:
        """
        The violations of a day or task, in the order they were tried.
        """
        found = self._all(ViolationRow, _day(task) if task is not None else day)
        rows = (v for v in found if task is None or v.run.rpartition("/")[0] == task)
        return sorted(rows, key=lambda v: (v.at, v.key))

    def snapshots(self, task: str) -> SnapshotsRow | None:
        """
        The snapshots of the task's tree; None when none was ever taken.
        """
        return self._find(SnapshotsRow, task)

    def all_snapshots(self) -> list[SnapshotsRow]:
        """
        Those of every task, by name.
        """
        return sorted(self._all(SnapshotsRow, None), key=lambda row: row.key)

    def spent(self, day: str) -> int:
        """
        Nano-USD that the day's runs have cost so far, of every attempt and model.
        """
        if self._under is not None:
            own = self._rows.get((RunRow, day), {}).values()
            below = (self._under.run(row.key) for row in own)
            return self._under.spent(day) + sum(_cost(row) for row in own) - sum(map(_cost, below))
        # Asked for each queued task at each decision.
        if day not in self._spent:
            self._spent[day] = sum(run.cost for run in self.runs(day=day))
        return self._spent[day]

    def task_cost(self, task: str) -> int:
        """
        Nano-USD over all attempts of the task.
        """
        return sum(_cost(self.run(key)) for key in self._runs_of(task))


def _unfinished(row: TaskRow | RunRow | DayRow) -> bool:
    """
    True while something is to come of *row*: of a day, or an ended task, an answer to what is asked about it.
    """
    if isinstance(row, RunRow):
        return row.open
    return row.asked is not None or (isinstance(row, TaskRow) and not row.state.ended)


def _cost(row: Row | None) -> int:
    return row.cost if isinstance(row, RunRow) else 0


def _day(key: str) -> str:
    """
    The day a key begins with.
    """
    return key.partition("/")[0]
