"""
Good task files, field by field.
"""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestrd.domain.model import Check, Complexity, Deliverable, Isolation, Priority, Task, TaskFile, Verb
from orchestrd.domain.taskfile import yamltree
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
