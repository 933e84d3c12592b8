"""
The evening report: the same facts give the same bytes, and what nobody verified is never called done.
"""

import os
import random
from pathlib import Path

import msgspec
import pytest

from factories import (
    DAY,
    LIMITS,
    NOW,
    OPUS,
    RUN,
    SONNET,
    TASK,
    make_day,
    make_question,
    make_run,
    make_task_row,
    spend,
)
from orchestrd.domain.events import CheckResult, DeliverableFound, FileChange, QuestionOption
from orchestrd.domain.model import NANO, Cause, Deliverable, Isolation, Outcome, TaskState, Usage
from orchestrd.domain.report import day_report
from orchestrd.domain.reportpage import duration, money, page
from orchestrd.domain.rows import QuestionState, RunPhase, Spend, ViolationRow
from orchestrd.domain.state import State

GOLDEN = Path(__file__).parents[1] / "data" / "report" / f"{DAY}-report.md"


def rows() -> list:
    """
    A day in which everything happened that a report can tell.
    """
    done = make_task_row(
        name="Paginate the parish list", module="parishes", order=0, state=TaskState.SUCCEEDED,
        outcome=Outcome.SUCCEEDED, attempts=2, run=f"{TASK}/2", started_at=NOW, ended_at=NOW + 4000,
    )  # fmt: skip
    first = make_run(
        RUN, phase=RunPhase.EXITED, ended_at=NOW + 100, outcome=Outcome.KILLED, signal=9, tool_calls=3,
        settled={OPUS: Spend(usage=Usage(input=100, output=20, cache_read=1000, cache_write_5m=50), cost=1_250_000)},
        unsettled=spend(0.0005), leftovers=2,
    )  # fmt: skip
    second = make_run(
        f"{TASK}/2", phase=RunPhase.EXITED, started_at=NOW + 102, ended_at=NOW + 4000, waited=120.0,
        outcome=Outcome.SUCCEEDED, tool_calls=40, drift=-3_000_000, damaged=1,
        settled={
            OPUS: Spend(usage=Usage(input=52_000, output=9_000, cache_read=1_200_000), cost=628_000_000),
            SONNET: Spend(usage=Usage(input=1000, output=100), cost=3_000_000),
        },
        deliverables=(
            DeliverableFound(text="Updated src/list.ts (add paging)", path="src/list.ts", status="found"),
            DeliverableFound(text="tests/list.spec.ts", path="tests/list.spec.ts", status="missing"),
            DeliverableFound(text="Tests for pagination", path=None, status="unverified"),
        ),
        checks=(
            CheckResult(name="npm test", status="passed", exit_code=0, seconds=61.0),
            CheckResult(name="npm run build |\n tee log", status="timed_out", seconds=600.0),
        ),
        files=(
            FileChange(path="src/list.ts", kind="modified", additions=40, deletions=2),
            FileChange(path="public/logo.png", kind="created"),
        ),
        summary="Paging is in.\n\nThe page size is 20.\n",
        last_text="Done.",
    )  # fmt: skip
    failed = make_task_row(
        "task-002", name="Migrate | rename", order=1, state=TaskState.FAILED, outcome=Outcome.OVER_BUDGET,
        reason="the task's limit of $1.00 is reached", attempts=1, run=f"{DAY}/task-002/1",
    )  # fmt: skip
    dear = make_run(
        f"{DAY}/task-002/1", phase=RunPhase.EXITED, ended_at=NOW + 50, outcome=Outcome.OVER_BUDGET, violations=1,
        confirmed=f"{DAY}/task-002/1!1", settled={OPUS: Spend(usage=Usage(output=50_000), cost=1_000_000_000)},
        last_text="I was about to\nrun `git push`.",
    )  # fmt: skip
    waiting = make_task_row(
        "task-003", name="Choose a database", order=2, module="core", state=TaskState.WAITING, attempts=1,
        run=f"{DAY}/task-003/1", questions=2, deliverables=(Deliverable(text="docs/DB.md", path="docs/DB.md"),),
    )  # fmt: skip
    asking = make_run(f"{DAY}/task-003/1", phase=RunPhase.WAITING, waiting_since=NOW + 60, unsettled=spend(0.25))
    in_place = make_task_row(
        "task-004", name="Tidy up", order=3, isolation=Isolation.IN_PLACE, state=TaskState.SUCCEEDED,
        outcome=Outcome.SUCCEEDED, attempts=1, run=f"{DAY}/task-004/1",
    )  # fmt: skip
    tidied = make_run(
        f"{DAY}/task-004/1", phase=RunPhase.EXITED, ended_at=NOW + 30, outcome=Outcome.SUCCEEDED,
        files=(FileChange(path="README.md", kind="modified", additions=1, deletions=1),),
    )  # fmt: skip
    blocked = make_task_row("task-005", name="Build on it", order=4, depends_on=("task-002",))
    answered = make_question(
        f"{DAY}/task-003#1", text="SQLite or Postgres | MySQL?\nBoth would do.", state=QuestionState.DELIVERED,
        answer="SQLite", answered_by="cli", answered_at=NOW + 150, options=(QuestionOption(label="SQLite"),),
    )  # fmt: skip
    opened = make_question(f"{DAY}/task-003#2", text="May I add an index?", asked_at=NOW + 200)
    tried = ViolationRow(
        key=f"{DAY}/task-002/1!1", run=f"{DAY}/task-002/1", at=NOW + 40, tool="Bash", rule="git",
        target="git push origin main", reason="Git may only be read here.",
    )  # fmt: skip
    return [
        make_day(limit=3 * NANO, warned_at=3 * NANO, stopped_at=3 * NANO),
        done, first, second, failed, dear, waiting, asking, in_place, tidied, blocked, answered, opened, tried,
    ]  # fmt: skip


def made(state: State) -> str:
    return page(day_report(state, DAY, LIMITS))


def test_the_page_is_the_golden_page():
    text = made(State(rows()))
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_same_facts_give_the_same_bytes_in_whatever_order_they_were_stored():
    first = made(State(rows()))
    data = msgspec.json.encode(day_report(State(rows()), DAY, LIMITS))
    for seed in range(10):
        shuffled = rows()
        random.Random(seed).shuffle(shuffled)
        assert made(State(shuffled)) == first
        assert msgspec.json.decode(
            msgspec.json.encode(day_report(State(shuffled), DAY, LIMITS))
        ) == msgspec.json.decode(data)


def test_other_days_are_not_in_it():
    state = State(rows())
    before = made(state)
    state.put(make_day("2026-11-23"))
    state.put(make_task_row("other", day="2026-11-23"))
    state.put(make_run("2026-11-23/other/1", settled=spend(9)))
    state.put(make_question("2026-11-23/other#1"))
    assert made(state) == before


def test_modules_and_models_split_the_same_total():
    report = day_report(State(rows()), DAY, LIMITS)
    assert sum(report.by_module.values()) == report.spent
    assert sum(part.cost for part in report.by_model.values()) == report.spent
    assert sum(task.cost for task in report.tasks) == report.spent
    assert report.spent == 1_250_000 + 500_000 + 628_000_000 + 3_000_000 + 1_000_000_000 + 250_000_000
    assert report.usage.output == 20 + 9_000 + 100 + 50_000


def test_time_is_only_what_is_recorded():
    report = day_report(State(rows()), DAY, LIMITS)
    by_id = {task.id: task.worked for task in report.tasks}
    assert by_id == {"task-001": 100 + 3898 - 120, "task-002": 50.0, "task-003": 0.0, "task-004": 30.0, "task-005": 0.0}
    assert report.worked == sum(by_id.values())


def test_a_day_without_anything():
    text = page(day_report(State(), DAY, LIMITS))
    assert "0 succeeded, 0 failed, 0 cancelled, 0 open" in text
    assert "$0.0000 of $50.00 (0%)" in text
    assert "Nothing is left to do." in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_a_limit_of_nothing_is_no_division_by_nothing():
    assert "of $0.00\n" in page(day_report(State([make_day(limit=0)]), DAY, LIMITS))


@pytest.mark.parametrize(
    ("spent", "run", "said"),
    [
        (50, {"cause": Cause.DAY_LIMIT}, "The day's limit was reached; agents were halted."),
        (46, {"stopping_cause": Cause.DAY_LIMIT}, "The day was stopped short of its limit; agents were halted."),
        (46, {"curtailed_cause": Cause.DAY_LIMIT}, "The day was stopped short of its limit; agents were halted."),
        (50, {"cause": Cause.DONE}, "The day's limit was reached; nothing more was started."),
        (49.5, {"cause": Cause.DONE}, "The day was stopped short of its limit; nothing more was started."),
    ],
)
def test_of_the_limit_it_says_what_happened(spent, run, said):
    stopped = make_day(stopped_at=50 * NANO, warned_at=50 * NANO)
    assert f"- **{said}**\n" in made(State([stopped, make_task_row(), make_run(settled=spend(spent), **run)]))


def test_a_warning_of_a_tasks_own_limit_is_told_until_that_is_raised():
    told = "Notes: the warning threshold of its own limit was passed."
    assert told in made(State([make_day(), make_task_row(max_cost=NANO, warned_at=NANO)]))
    assert told not in made(State([make_day(), make_task_row(max_cost=2 * NANO, warned_at=NANO)]))
    assert told not in made(State([make_day(), make_task_row(warned_at=NANO)]))


def test_a_success_without_checks_says_on_whose_word_it_rests():
    text = made(State([make_day(), make_task_row(state=TaskState.SUCCEEDED, outcome=Outcome.SUCCEEDED)]))
    assert "rests on the agent's word" in text


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"state": TaskState.FAILED, "reason": "it broke"}, "task-001 failed (it broke)"),
        ({"state": TaskState.SUCCEEDED}, "Review task-001"),
        ({"state": TaskState.SUCCEEDED, "applied_at": NOW}, None),
        ({"state": TaskState.SUCCEEDED, "isolation": Isolation.IN_PLACE}, None),
        ({"state": TaskState.CANCELLED}, None),
    ],
    ids=["failed", "to review", "applied", "in place", "cancelled"],
)
def test_next_steps(changes, step):
    run = make_run(phase=RunPhase.EXITED, ended_at=NOW, files=(FileChange(path="a", kind="created"),))
    steps = day_report(State([make_day(), make_task_row(run=RUN, **changes), run]), DAY, LIMITS).next_steps
    assert [s for s in steps if step and s.startswith(step)] == list(steps)
    assert bool(steps) is (step is not None)


def test_a_table_cell_stays_one_cell():
    names = ["a | b", r"a \| b | c", "line\nbreak", "x" * 1000]
    tasks = [make_task_row(f"t{n}", name=name, order=n) for n, name in enumerate(names)]
    text = made(State([make_day(), *tasks]))
    lines = text.partition("## Tasks\n\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == 2 + len(names)
    assert {line.replace(r"\|", "").count("|") for line in lines} == {8}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3600, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_money_has_four_digits():
    assert money(1_250_000) == "$0.0013"
    assert money(12 * NANO) == "$12.0000"
    assert money(-3_000_000) == "-$0.0030"


def test_what_was_too_large_is_named():
    large = make_run(RUN, phase=RunPhase.EXITED, ended_at=NOW + 9, left_out=("a.img", "b c.img"))
    row = make_task_row(state=TaskState.SUCCEEDED, run=RUN, attempts=1)
    text = page(day_report(State([make_day(), row, large]), DAY, LIMITS))
    assert "Notes: left out (too large, too deep or closed): `a.img`, `b c.img`." in text
    assert "large files, which apply does not bring over: a.img, b c.img" in text
