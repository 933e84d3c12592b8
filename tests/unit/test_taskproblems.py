"""
How several problems of a task file are told.
"""

from datetime import UTC

import pytest

from orchestrd.domain.taskfile import problems as taskproblems
from orchestrd.domain.tasks import TaskFileProblems, parse_task_file

GOOD = b"date: 2026-11-22\ntasks:\n  - id: t\n    name: N\n    description: D\n"


def problems(data: bytes) -> list[str]:
    with pytest.raises(TaskFileProblems) as caught:
        parse_task_file(data, source="tasks/x.yaml", zone=UTC)
    return [str(problem) for problem in caught.value.problems]


def ids(*tasks: str) -> bytes:
    lines = (f"  - {{name: N, description: D, id: {task}}}\n" for task in tasks)
    return ("date: 2026-11-22\ntasks:\n" + "".join(lines)).encode()


@pytest.mark.parametrize("names", [("a", "a-2"), ("a-2", "a"), ("A", "a-999"), ("task-001", "task-001-3")])
def test_ids_that_would_share_files(names: tuple[str, ...]) -> None:
    """
    A task's second question must not be another's first.
    """
    (found,) = problems(ids(*names))

    assert "would share files" in found


def test_circles() -> None:
    """
    Every circle is told once, from the task that comes first; what leads into one is no part of it.
    """
    waits = {"a": "[b]", "b": "[c, d]", "c": "[a, f]", "d": "[b]", "e": "[a, e]", "f": "[]"}

    assert problems(ids(*(f"{name}, depends_on: {on}" for name, on in waits.items()))) == [
        "tasks/x.yaml:3:51: a: depends_on: circular: a → b → c → a; remove one of these",
        "tasks/x.yaml:4:54: b: depends_on: circular: b → d → b; remove one of these",
        "tasks/x.yaml:7:54: e: depends_on: 'e' depends on itself",
    ]


def test_long_circle() -> None:
    """
    A long circle is shortened, and takes no recursion.
    """
    count = 500
    (found,) = problems(ids(*(f"t{n}x, depends_on: t{(n + 1) % count}x" for n in range(count))))

    assert found.endswith("t10x → t11x → … (488 more) → t0x; remove one of these")


def test_all_at_once() -> None:
    """
    Every problem of a file is told, in the order of the file, and each is also a value.
    """
    data = b"""\
date: 2026-02-30
max_cost_usd: $50
tasks:
  - id: task-001
    name: yes
    estimated_complexty: low
    deliverables: [/etc/passwd]
  - id: bad/id
    description: D
    priority: hihg
    depends_on: task-01
    checks: [{rnu: x}]
    start_at: 25:00
  - just text
"""
    with pytest.raises(TaskFileProblems) as caught:
        parse_task_file(data, source="tasks/x.yaml", zone=UTC)
    places = [(problem.line, problem.column, problem.task, problem.field) for problem in caught.value.problems]

    assert places == [
        (1, 7, None, "date"),
        (2, 15, None, "max_cost_usd"),
        (4, 5, "task-001", "description"),
        (6, 5, "task-001", "estimated_complexty"),
        (7, 20, "task-001", "deliverables[0]"),
        (8, 5, None, "tasks[1].name"),
        (8, 9, None, "tasks[1].id"),
        (10, 15, None, "tasks[1].priority"),
        (11, 17, None, "tasks[1].depends_on"),
        (12, 14, None, "tasks[1].checks[0].run"),
        (12, 15, None, "tasks[1].checks[0].rnu"),
        (13, 15, None, "tasks[1].start_at"),
        (14, 5, None, "tasks[2]"),
    ]
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    assert str(caught.value.problems[3]) == (
        "tasks/x.yaml:6:5: task-001: estimated_complexty: unknown field; did you mean 'estimated_complexity'?"
    )


def test_fifty_are_shown() -> None:
    """
    The message ends at fifty problems and says how many there are more; the values are complete.
    """
    data = GOOD + b"".join(b"    x%03d: 1\n" % n for n in range(60))
    with pytest.raises(TaskFileProblems) as caught:
        parse_task_file(data, source="tasks/x.yaml", zone=UTC)
    shown = caught.value.message.splitlines()

    assert len(caught.value.problems) == 60
    assert len(shown) == taskproblems.MAX_SHOWN + 1
    assert shown[-1] == "… and 10 more"


def test_exactly_fifty() -> None:
    """
    Nothing more is nothing to say.
    """
    assert len(problems(GOOD + b"".join(b"    x%03d: 1\n" % n for n in range(50)))) == 50
    with pytest.raises(TaskFileProblems, match=r"x049: [^\n]*\Z"):
        parse_task_file(GOOD + b"".join(b"    x%03d: 1\n" % n for n in range(50)), source="tasks/x.yaml", zone=UTC)


def test_one_line_each() -> None:
    """
    Neither a file's name nor what stands in it can break a line or reach the terminal.
    """
    with pytest.raises(TaskFileProblems) as caught:
        parse_task_file(GOOD + b'    "a\\nb\\e[1m": 1\n', source="a\nb\x1b[1m", zone=UTC)

    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)


def test_repeated_through_an_alias() -> None:
    """
    A mistake in what several tasks share is told for each of them.
    """
    data = b"date: 2026-11-22\ntasks:\n  - {id: a, name: N, description: D, timeout: &x soon}\n"
    found = problems(data + b"  - {id: b, name: N, description: D, timeout: *x}\n")

    assert [line.split(": ")[1] for line in found] == ["a", "b"]
