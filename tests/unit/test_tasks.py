"""
Good task files, field by field, and how several problems are told.
"""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestrd.domain import taskproblems, yamltree
from orchestrd.domain.model import Check, Complexity, Deliverable, Isolation, Priority, Task, TaskFile, Verb
from orchestrd.domain.tasks import TaskFileProblems, parse_task_file
from orchestrd.errors import InvalidTaskFile

FILES = Path(__file__).parent.parent / "data" / "taskfiles"
PARIS = ZoneInfo("Europe/Paris")
GOOD = b"date: 2026-11-22\ntasks:\n  - id: t\n    name: N\n    description: D\n"


def parse(data: bytes, **options: str) -> TaskFile:
    return parse_task_file(data, source="tasks/x.yaml", zone=PARIS, **options)


def only(more: str) -> Task:
    """
    The task of a good file with *more*.
    """
    (task,) = parse(GOOD + f"    {more}\n".encode()).tasks
    return task


def problems(data: bytes) -> list[str]:
    with pytest.raises(TaskFileProblems) as caught:
        parse(data)
    return [str(problem) for problem in caught.value.problems]


def ids(*tasks: str) -> bytes:
    lines = (f"  - {{name: N, description: D, id: {task}}}\n" for task in tasks)
    return ("date: 2026-11-22\ntasks:\n" + "".join(lines)).encode()


def test_minimal() -> None:
    """
    The shortest file people write.
    """
    expected = TaskFile(
        day="2025-11-18",
        tasks=(
            Task(
                day="2025-11-18",
                id="task-001",
                name="Task name",
                description="What to do",
                module="funerals",
                complexity=Complexity.MEDIUM,
                deliverables=(Deliverable(text="path/to/file.ts", path="path/to/file.ts"),),
            ),
        ),
    )

    assert parse((FILES / "minimal.yaml").read_bytes()) == expected


def test_full() -> None:
    """
    The file as documented.
    """
    expected = TaskFile(
        day="2025-11-18",
        max_cost=50_000_000_000,
        tasks=(
            Task(
                day="2025-11-18",
                id="task-001",
                name="Create documentation",
                description="Multi-line description\nwith details",
                module="baptisms",
                complexity=Complexity.LOW,
                context_files=("CLAUDE.md", "docs/TESTING_GUIDE.md", "src/app/(main)/baptisms/"),
                deliverables=(
                    Deliverable(text="docs/NEW_DOC.md", path="docs/NEW_DOC.md"),
                    Deliverable(
                        text="Updated docs/MODULE_REGISTRY.md", path="docs/MODULE_REGISTRY.md", verb=Verb.UPDATE
                    ),
                ),
                priority=Priority.HIGH,
            ),
        ),
    )

    assert parse((FILES / "full.yaml").read_bytes()) == expected


def test_everything() -> None:
    """
    Every field, written in the ways people write it.
    """
    file = parse((FILES / "everything.yaml").read_bytes())
    first = Task(
        day="2026-11-22",
        id="001",
        name="yes",
        description='Folded over two lines: and "quotes".',
        order=0,
        module="42",
        complexity=Complexity.MEDIUM,
        context_files=("docs/GUIDE.md",),
        deliverables=(Deliverable(text="README.md", path="README.md"),),
        priority=Priority.URGENT,
        max_cost=500_000_000,
        timeout=5400.0,
        model="opus[1m]",
        checks=(Check(name="npm test", run="npm test"),),
        isolation=Isolation.IN_PLACE,
        retries=0,
        start_at=datetime(2026, 11, 22, 14, 30, tzinfo=PARIS).timestamp(),
    )
    both = "src/a.ts and src/b.ts"
    second = Task(
        day="2026-11-22",
        id="b",
        name='Second: "b"',
        description="Two\nlines",
        order=1,
        complexity=Complexity.HIGH,
        context_files=("src/**/*.ts", "a b/", "CLAUDE.md", "src/[id]/{a,b}.ts"),
        deliverables=(
            Deliverable(text="Updated docs/X.md: add section", path="docs/X.md", verb=Verb.UPDATE),
            Deliverable(text=both, path="src/a.ts"),
            Deliverable(text=both, path="src/b.ts"),
            Deliverable(text="Tests for pagination"),
            Deliverable(text="tests/x.spec.ts (if using Page Object Model)", path="tests/x.spec.ts", optional=True),
            Deliverable(text="docs/Y.md", path="docs/Y.md"),
        ),
        priority=Priority.LOW,
        depends_on=("001",),
        timeout=90.0,
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        checks=(
            Check(name="npm run lint", run="npm run lint"),
            Check(name="unit", run="npm ci\nnpm test", timeout=90.0),
            Check(name="make check", run="make check"),
        ),
        retries=10,
        start_at=datetime(2026, 11, 23, 7, 0, tzinfo=UTC).timestamp(),
    )
    third = Task(
        day="2026-11-22",
        id="c",
        name="Flow",
        description="In one line.",
        order=2,
        priority=Priority.LOW,
        depends_on=("001", "b"),
        timeout=9000.0,
        start_at=datetime(2026, 11, 22, 6, 5, tzinfo=PARIS).timestamp(),
    )

    assert file == TaskFile(day="2026-11-22", max_cost=12_345_678_901, tasks=(first, second, third))


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        b"---\n" + GOOD,
        b"# a comment: with % and \xc3\xa9\n\n" + GOOD + b"...\n",
        GOOD.replace(b"2026-11-22", b"!!str '2026-11-22'"),
        b'{"date": "2026-11-22", "tasks": [{"id": "t", "name": "N", "description": "D"}]}',
        b"date: 2026-11-22\ntasks: [&t {id: t, name: &n N, description: D, module: }]\n",
    ],
)
def test_same_file(data: bytes) -> None:
    """
    Byte order marks, line endings, comments, markers and JSON make no difference.
    """
    assert parse(data) == parse(GOOD)


def test_aliases() -> None:
    """
    Anchors are good for what people use them for.
    """
    tasks = (
        "  - {id: a, name: N, description: D, context_files: &files [x.md, y.md]}\n"
        "  - {id: b, name: N, description: D, context_files: *files}\n"
    )
    file = parse(f"date: 2026-11-22\ntasks:\n{tasks}".encode())

    assert file.tasks[0].context_files == file.tasks[1].context_files == ("x.md", "y.md")


def test_default_day() -> None:
    """
    The day of the file's name stands in for a missing date, and for nothing else.
    """
    undated = GOOD.removeprefix(b"date: 2026-11-22\n")

    assert parse(undated, default_day="2026-11-23").day == "2026-11-23"
    assert parse(undated, default_day="2026-11-23").tasks[0].key == "2026-11-23/t"
    assert parse(GOOD, default_day="2026-11-23").day == "2026-11-22"
    with pytest.raises(InvalidTaskFile):
        parse(GOOD.replace(b"2026-11-22", b"soon"), default_day="2026-11-23")
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse(GOOD, default_day="soon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("low", "low"),
        ("LOW", "low"),
        ("medium (2.5 hours)", "medium"),
        ("Medium-high", "medium"),
        ("low|medium|high", "low"),
        ("high, very high", "high"),
        ("'~high'", "high"),
        ("", "medium"),
        ("~", "medium"),
    ],
)
def test_complexity(text: str, expected: str) -> None:
    """
    The first word counts.
    """
    assert only(f"estimated_complexity: {text}").complexity == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45", 45),
        ("45s", 45),
        ("'45'", 45),
        ("0.5", 0.5),
        ("1e3", 1000),
        ("90m", 5400),
        ("2h", 7200),
        ("2.5h", 9000),
        ("1h30m", 5400),
        ("1H 30M", 5400),
        ("1d", 86400),
        ("7d", 604800),
        ("010", 10),
    ],
)
def test_timeout(text: str, expected: float) -> None:
    """
    Seconds, or a duration with units.
    """
    assert only(f"timeout: {text}").timeout == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50.00", 50_000_000_000),
        ("'50.00'", 50_000_000_000),
        ("1", 1_000_000_000),
        ("+0.1", 100_000_000),
        (".07", 70_000_000),
        ("1e-9", 1),
        ("100000", 100_000_000_000_000),
    ],
)
def test_money(text: str, expected: int) -> None:
    """
    Amounts are exact.
    """
    assert only(f"max_cost_usd: {text}").max_cost == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9:05", datetime(2026, 11, 22, 9, 5, tzinfo=PARIS)),
        ("00:00", datetime(2026, 11, 22, tzinfo=PARIS)),
        ("23:59:59", datetime(2026, 11, 22, 23, 59, 59, tzinfo=PARIS)),
        ("2026-11-22T14:30Z", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2026-11-22t14:30:10.5z", datetime(2026, 11, 22, 14, 30, 10, tzinfo=UTC)),
        ("2026-07-01 14:30", datetime(2026, 7, 1, 14, 30, tzinfo=PARIS)),
        ("2026-11-22T14:30+0530", datetime(2026, 11, 22, 9, 0, tzinfo=UTC)),
        # 02:30 comes twice in this night; the first counts.
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_start_at(text: str, expected: datetime) -> None:
    """
    A time of the day in the zone, or a moment.
    """
    assert only(f"start_at: {text}").start_at == expected.timestamp()


def test_start_in_a_gap() -> None:
    """
    A time that a clock change skips is refused.
    """
    found = problems(GOOD.replace(b"2026-11-22", b"2026-03-29") + b"    start_at: 02:30\n")

    assert found == [
        "tasks/x.yaml:6:15: t: start_at: '02:30' does not exist on that day: the clock is put forward then"
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("task-1", "task-2", "task-001", "task-002"),
        ("task", "task-1", "task-02", "task-1000"),
        ("report", "report-2026"),
        ("answer", "answer-1", "answers"),
        ("a.b", "a_b", "a-b", "1", "01", "001"),
        ("x" * 64, "X"),
    ],
)
def test_ids_that_get_along(names: tuple[str, ...]) -> None:
    """
    Ids as people number them, whose question files never meet.
    """
    assert tuple(task.id for task in parse(ids(*names)).tasks) == names


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
        parse(data)
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
        parse(data)
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
        parse(GOOD + b"".join(b"    x%03d: 1\n" % n for n in range(50)))


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


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The parser in Python gives the same values and places.
    """
    fast = [parse((FILES / name).read_bytes()) for name in ("minimal.yaml", "full.yaml", "everything.yaml")]
    told = problems(GOOD + b"    timeout: soon\n    module: a: b\n")

    monkeypatch.setattr(yamltree, "_LOADER", yaml.SafeLoader)

    assert fast == [parse((FILES / name).read_bytes()) for name in ("minimal.yaml", "full.yaml", "everything.yaml")]
    assert told == problems(GOOD + b"    timeout: soon\n    module: a: b\n")
    assert problems(b"[" * 100_000) == ["tasks/x.yaml:1:21: nested deeper than 20 levels"]
