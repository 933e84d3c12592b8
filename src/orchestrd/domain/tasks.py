"""
A task file: one day's tasks as a person writes them, to `TaskFile`, or every problem in it at once.

A file that has a problem is refused whole, and a field that is not known is a problem: a misspelt ``depends_on`` that
was ignored would start a task too early.  Where people write loosely and mean one thing, that is accepted: words in any
case, numbers in quotes, one value where a list is expected, ``- Updated docs/X.md: add section`` (a mapping to YAML).
"""

from __future__ import annotations

from datetime import date, tzinfo
from typing import TypeVar

from orchestrd.domain.model import Check, Deliverable, Isolation, Priority, Task, TaskFile
from orchestrd.domain.taskfile import fields as read
from orchestrd.domain.taskfile import measures as measure
from orchestrd.domain.taskfile.entries import Promises, check
from orchestrd.domain.taskfile.graph import Wait, check_waits
from orchestrd.domain.taskfile.ids import check_ids, task_id
from orchestrd.domain.taskfile.keys import FILE_FIELDS, TASK_FIELDS, given, known_fields
from orchestrd.domain.taskfile.problems import Problem, Problems, Spot, TaskFileProblems
from orchestrd.domain.taskfile.yamltext import UnreadableYaml, shown
from orchestrd.domain.taskfile.yamltree import Mapping, Node, Scalar, Sequence, Tree, read_tree

__all__ = ["FILE_FIELDS", "TASK_FIELDS", "Problem", "TaskFileProblems", "parse_task_file"]

MAX_TASKS = 500
MAX_PATHS = 500
MAX_DELIVERABLES = 200
MAX_CHECKS = 50

_PRIORITIES = {"medium": "normal", "default": "normal", "critical": "urgent", "highest": "urgent", "lowest": "low"}

T = TypeVar("T")


def parse_task_file(data: bytes, *, source: str, zone: tzinfo, default_day: str | None = None) -> TaskFile:
    """
    The tasks in *data*; *source* names the file in problems, *zone* is where its times of day are meant, and
    *default_day* (``YYYY-MM-DD``) stands in for a missing ``date``.

    Raises `TaskFileProblems`, an `InvalidTaskFile`, with all problems, and nothing else whatever *data* holds; and
    `ValueError` when *default_day* is not a date.
    """
    if default_day is not None:
        default_day = date.fromisoformat(default_day).isoformat()
    problems = Problems(source)
    try:
        tree = read_tree(data)
    except UnreadableYaml as error:
        problems.add(error.flaw.line, error.flaw.column, error.flaw.message)
        tree = None
    reader = _Reader(problems, zone, default_day)
    file = reader.file(tree) if tree is not None else None
    problems.check()
    assert file is not None
    return file


class _Reader:
    """
    Reads one file; what is wrong goes to *problems*, and what is read beside a problem is thrown away.
    """

    def __init__(self, problems: Problems, zone: tzinfo, default_day: str | None) -> None:
        self._problems = problems
        self._top = Spot(problems=problems)
        self._zone = zone
        self._day = default_day
        self._priority = Priority.NORMAL
        self._ids: list[tuple[str, Node, Spot]] = []
        self._waits: list[Wait] = []
        self._promises = Promises()
        self._spans: list[tuple[tuple[int, int], tuple[int, int], str]] = []

    def file(self, tree: Tree) -> TaskFile | None:
        root = tree.root
        if root is None:
            self._problems.add(1, 1, "the file is empty; expected 'date:' and 'tasks:'")
            return None
        if not isinstance(root, Mapping):
            self._top.say(root, f"expected 'date:' and 'tasks:' at the top level, found {_kind(root)}")
            return None
        fields = known_fields(root, FILE_FIELDS, TASK_FIELDS, "a task", self._top)
        if (dated := given(fields, "date")) is not None:
            self._day = measure.day(dated, self._top.within("date"))
        elif self._day is None:
            self._top.within("date").say(fields.get("date", root), "required field is missing; write date: YYYY-MM-DD")
        max_cost = self._take(fields, "max_cost_usd", measure.money, None, self._top)
        self._priority = self._take(fields, "priority", _priority, Priority.NORMAL, self._top)
        tasks = self._tasks(fields.get("tasks", root), missing="tasks" not in fields)
        check_ids(self._ids)
        check_waits([name for name, _, _ in self._ids], self._waits)
        for flaw in tree.flaws:
            place = (flaw.line, flaw.column)
            owner = next((name for start, end, name in self._spans if start <= place < end), None)
            field = self._top.within(flaw.key).field if flaw.key is not None else None
            self._problems.add(*place, flaw.message, task=owner, field=field)
        return TaskFile(day=self._day or "", tasks=tuple(tasks), max_cost=max_cost)

    def _tasks(self, node: Node, *, missing: bool) -> list[Task]:
        spot = self._top.within("tasks")
        if missing:
            spot.say(node, "required field is missing; write tasks: and a list")
        elif isinstance(node, Mapping):
            spot.say(node, "expected a list, found a mapping; begin each task with '- id:'")
        elif read.is_blank(node) or (isinstance(node, Sequence) and not node.items):
            spot.say(node, "is empty; expected at least one task")
        elif not isinstance(node, Sequence):
            spot.say(node, f"expected a list of tasks, found {_kind(node)}")
        elif len(node.items) > MAX_TASKS:
            spot.say(node, f"has {len(node.items)} tasks; at most {MAX_TASKS} are allowed in a file")
        else:
            found = (self._task(item, index, spot.at(index)) for index, item in enumerate(node.items))
            return [task for task in found if task is not None]
        return []

    def _task(self, node: Node, order: int, spot: Spot) -> Task | None:
        if not isinstance(node, Mapping):
            spot.say(node, f"expected a task with id, name and description, found {_kind(node)}")
            return None
        called = next((value for key, value in node.pairs if key.text == "id"), None)
        name = task_id(called, spot.within("id")) if called is not None else None
        if name is not None and called is not None:
            spot = Spot(problems=self._problems, task=name)
            self._ids.append((name, called, spot.within("id")))
            self._spans.append(((node.line, node.column), node.end, name))
        elif called is None:
            spot.within("id").say(node, "required field is missing; write one such as id: task-001")
        fields = known_fields(node, TASK_FIELDS, FILE_FIELDS, "the top level of the file", spot)
        for needed in ("name", "description"):
            if needed not in fields:
                spot.within(needed).say(node, "required field is missing")
        base = Task(day=self._day or "", id=name or "", name="", description="", order=order, priority=self._priority)
        task = Task(
            day=base.day,
            id=base.id,
            order=order,
            name=self._need(fields, "name", read.line, spot),
            description=self._need(fields, "description", read.block, spot),
            module=self._take(fields, "module", read.line, None, spot),
            complexity=self._take(fields, "estimated_complexity", read.complexity, base.complexity, spot),
            context_files=self._context(fields, spot),
            deliverables=self._deliverables(fields, spot),
            priority=self._take(fields, "priority", _priority, base.priority, spot),
            depends_on=self._depends(fields, name, spot),
            max_cost=self._take(fields, "max_cost_usd", measure.money, None, spot),
            timeout=self._take(fields, "timeout", measure.duration, None, spot),
            model=self._take(fields, "model", read.model, None, spot),
            agent=self._take(fields, "agent", read.agent, base.agent, spot),
            checks=self._checks(fields, spot),
            isolation=self._take(fields, "isolation", _isolation, base.isolation, spot),
            retries=self._take(fields, "retries", measure.retries, None, spot),
            start_at=self._take(fields, "start_at", measure.moment(self._day, self._zone), None, spot),
        )
        return task if name is not None else None

    def _take(self, fields: dict[str, Node], name: str, reader: read.Reader[T], default: T, spot: Spot) -> T:
        node = given(fields, name)
        value = reader(node, spot.within(name)) if node is not None else None
        return default if value is None else value

    def _need(self, fields: dict[str, Node], name: str, reader: read.Reader[str], spot: Spot) -> str:
        return (reader(fields[name], spot.within(name)) if name in fields else None) or ""

    def _context(self, fields: dict[str, Node], spot: Spot) -> tuple[str, ...]:
        node = given(fields, "context_files")
        found = read.each(node, spot.within("context_files"), read.path, MAX_PATHS) if node is not None else []
        return tuple(dict.fromkeys(path for _, path in found))

    def _deliverables(self, fields: dict[str, Node], spot: Spot) -> tuple[Deliverable, ...]:
        node = given(fields, "deliverables")
        if node is None:
            return ()
        found = read.each(node, spot.within("deliverables"), self._promises, MAX_DELIVERABLES)
        return tuple(one for _, several in found for one in several)

    def _depends(self, fields: dict[str, Node], name: str | None, spot: Spot) -> tuple[str, ...]:
        node = given(fields, "depends_on")
        inner = spot.within("depends_on")
        found = read.each(node, inner, read.line, MAX_TASKS) if node is not None else []
        self._waits += (Wait(task=name or "", on=other, node=item, spot=inner) for item, other in found)
        return tuple(dict.fromkeys(other for _, other in found))

    def _checks(self, fields: dict[str, Node], spot: Spot) -> tuple[Check, ...]:
        node = given(fields, "checks")
        if node is None:
            return ()
        inner = spot.within("checks")
        lines: dict[str, int] = {}
        for item, one in (found := read.each(node, inner, check, MAX_CHECKS)):
            if one.name in lines:
                inner.say(item, f"the name {shown(one.name)} is already taken by the check on line {lines[one.name]}")
            lines.setdefault(one.name, item.line)
        return tuple(one for _, one in found)


_priority = read.choice(Priority, _PRIORITIES)
_isolation = read.choice(Isolation)


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return shown(node.text.strip()) if node.text.strip() else "nothing"
    return "a list" if isinstance(node, Sequence) else "a mapping"
