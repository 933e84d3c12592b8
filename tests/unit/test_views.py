"""
The state in the shapes people see.
"""

from types import SimpleNamespace

import pytest

from factories import (
    DAY,
    LIMITS,
    NOW,
    OPUS,
    QUESTION,
    RUN,
    TASK,
    make_day,
    make_question,
    make_rules,
    make_run,
    make_task_row,
    spend,
)
from orchestrd.domain import lookup
from orchestrd.domain.events import CheckResult, DeliverableFound, QuestionOption
from orchestrd.domain.model import NANO, Cause, Check, Deliverable, Outcome, TaskState, Usage
from orchestrd.domain.rows import QuestionState, RunPhase, Spend
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State
from orchestrd.errors import NotFound
from orchestrd.services import views


def shown(state: State, key: str = TASK, now: float = NOW + 100, limits=None):
    decision = decide(state, make_rules(), now)
    return views.task_status(
        state,
        state.task(key),
        decision,
        now,
        lambda run: SimpleNamespace(activity=f"busy with {run}", worked=42.0),
        limits=limits,
    )


class TestResolve:
    STATE = State(
        [
            make_day("2026-11-21"),
            make_day(),
            make_task_row("a", day="2026-11-21"),
            make_task_row("old", day="2026-11-21"),
            make_task_row("a"),
            make_task_row("b", order=1),
        ]
    )

    @pytest.mark.parametrize(
        ("name", "day", "key"),
        [
            ("a", None, f"{DAY}/a"),
            ("old", None, "2026-11-21/old"),
            ("a", "2026-11-21", "2026-11-21/a"),
            ("2026-11-21/a", None, "2026-11-21/a"),
            ("2026-11-21/a", DAY, "2026-11-21/a"),
        ],
    )
    def test_a_name(self, name, day, key):
        assert lookup.resolve(self.STATE, name, day).key == key

    @pytest.mark.parametrize(
        ("name", "day"), [("c", None), ("old", DAY), ("2026-11-23/a", None), ("", None), ("/", None)]
    )
    def test_a_name_that_is_not_known(self, name, day):
        with pytest.raises(NotFound) as caught:
            lookup.resolve(self.STATE, name, day)
        assert "Known: a, b" in caught.value.hint

    def test_nothing_is_known(self):
        with pytest.raises(NotFound) as caught:
            lookup.resolve(State(), "a")
        assert "orchctl submit" in caught.value.hint


def test_the_newest_day():
    assert lookup.newest_day(State()) is None
    assert lookup.newest_day(State([make_day("2026-11-21"), make_day(), make_day("2026-11-20")])) == DAY


def test_limits_that_are_near_are_told_in_words():
    run = make_run(f"{DAY}/a/1", settled=spend(7.99))
    rows = [make_task_row("a", state=TaskState.RUNNING, max_cost=10 * NANO, run=run.key), make_task_row("b"), run]

    def told(*others, **day) -> list[str]:
        return views.warnings(State([make_day(limit=10 * NANO, **day), *rows, *others]), LIMITS, DAY)

    assert told() == []
    near = "79% of the day's limit of $10.00 is spent"
    assert told(warned_at=10 * NANO) == [near]
    own = make_task_row("a", state=TaskState.RUNNING, max_cost=10 * NANO, run=run.key, warned_at=10 * NANO)
    assert told(own, warned_at=10 * NANO) == [near, "a has spent 79% of its own limit of $10.00"]
    assert told(warned_at=10 * NANO, raised=5 * NANO) == [], "of another limit"
    stopped = {"warned_at": 10 * NANO, "stopped_at": 10 * NANO}
    assert told(**stopped) == ["the day's limit of $10.00 is not enough for what comes next ($7.99 spent)"]
    for more, words in ((1.5, "all but used up ($9.49 spent)"), (2.02, "used up ($10.01 spent)")):
        other = make_run(f"{DAY}/b/1", phase=RunPhase.EXITED, settled=spend(more))
        assert told(other, **stopped) == [f"the day's limit of $10.00 is {words}"]
    assert told(warned_at=10 * NANO, closed_at=10 * NANO)[0].startswith("the day was ended at its limit of $10.00")
    ended = make_task_row("a", state=TaskState.SUCCEEDED, max_cost=10 * NANO, warned_at=10 * NANO)
    assert told(ended) == []
    assert views.warnings(State(), LIMITS, DAY) == []


def test_the_days_money():
    working = make_task_row("a", state=TaskState.RUNNING, max_cost=5 * NANO)
    rows = [
        make_day(limit=20 * NANO), working, make_run(f"{DAY}/a/1", settled=spend(2), reserved=4 * NANO),
        make_task_row("b", max_cost=5 * NANO), make_task_row("c", state=TaskState.WAITING, max_cost=NANO),
        make_run(f"{DAY}/c/1", settled=spend(3), reserved=4 * NANO),
    ]  # fmt: skip
    cost = views.day_cost(State(rows), LIMITS, DAY)
    assert (cost.spent_usd, cost.reserved_usd, cost.limit_usd, cost.fraction) == (5.0, 3.0, 20.0, 0.25)
    assert views.day_cost(State([make_day(limit=0)]), LIMITS, DAY).fraction == 0.0
    assert views.day_cost(State(), LIMITS, "2026-01-01").limit_usd == 50.0


class TestTask:
    def test_one_that_waits_for_its_start(self):
        status = shown(State([make_day(), make_task_row(deliverables=(Deliverable(text="x.md", path="x.md"),))]))
        assert (status.state, status.why, status.run, status.started_at) == ("queued", "", None, None)
        assert [(d.text, d.status) for d in status.deliverables] == [("x.md", "pending")]

    def test_one_that_has_money_again(self):
        """
        It was told that it gets no further tool call, and what it does next is granted all the same.
        """
        limit = "the day's limit of $50.00 is reached"
        run = make_run(curtailed=limit, curtailed_cause=Cause.DAY_LIMIT)
        rows = [make_task_row(state=TaskState.RUNNING, run=RUN), run]

        def told(limits=LIMITS, **day) -> str:
            return shown(State([make_day(stopped_at=50 * NANO, **day), *rows]), limits=limits).why

        assert told() == told(limits=None) == f"no further tool call, for {limit}"
        assert told(raised=5 * NANO) == ""

    def test_one_that_is_blocked(self):
        state = State([make_day(), make_task_row("a"), make_task_row(depends_on=("a",))])
        assert (shown(state).state, shown(state).why) == ("blocked", "needs a, which is queued")

    def test_one_that_works(self):
        run = make_run(
            model=OPUS, tool_calls=7, violations=2, waited=20.0,
            settled={OPUS: Spend(usage=Usage(input=1, output=2, cache_read=3, cache_write_5m=4, cache_write_1h=5), cost=NANO)},
        )  # fmt: skip
        task = make_task_row(state=TaskState.RUNNING, run=RUN, attempts=1, started_at=NOW, module="core")
        status = shown(State([make_day(), task, run]))
        assert (status.state, status.cost_usd, status.tool_calls, status.violations) == ("running", 1.0, 7, 2)
        assert (status.tokens.input, status.tokens.output, status.tokens.cache_read, status.tokens.cache_write) == (
            1,
            2,
            3,
            9,
        )
        assert (status.worked_seconds, status.activity, status.module) == (42.0, f"busy with {RUN}", "core")
        assert (status.started_at, status.ended_at) == ("2026-11-22T10:00:00.000Z", None)

    def test_one_that_asks(self):
        rows = [
            make_day(), make_task_row(state=TaskState.WAITING, run=RUN),
            make_run(phase=RunPhase.WAITING, waiting_since=NOW),
            make_question(state=QuestionState.DELIVERED, answer="x"),
            make_question(f"{TASK}#2", text="And now?", asked_at=NOW + 1), make_question(f"{TASK}#3", asked_at=NOW + 2),
        ]  # fmt: skip
        status = shown(State(rows))
        assert (status.question, status.why, status.worked_seconds) == (f"{TASK}#2", "asks: And now?", 42.0)

    def test_one_that_is_done_after_two_runs(self):
        task = make_task_row(
            state=TaskState.SUCCEEDED, outcome=Outcome.SUCCEEDED, run=f"{TASK}/2", attempts=2, ended_at=NOW + 60, model="m",
            deliverables=(Deliverable(text="x.md", path="x.md"), Deliverable(text="y.md", path="y.md")),
            checks=(Check(name="test", run="t"), Check(name="lint", run="l")),
        )  # fmt: skip
        first = make_run(
            phase=RunPhase.EXITED, ended_at=NOW + 10, settled=spend(1), tool_calls=1, outcome=Outcome.KILLED
        )
        second = make_run(
            f"{TASK}/2", phase=RunPhase.EXITED, started_at=NOW + 20, ended_at=NOW + 60, settled=spend(2), tool_calls=2,
            deliverables=(DeliverableFound(text="x.md", path="x.md", status="found"),),
            checks=(CheckResult(name="test", status="passed"),), outcome=Outcome.SUCCEEDED,
        )  # fmt: skip
        status = shown(State([make_day(), task, second, first]))
        assert (status.outcome, status.cost_usd, status.tool_calls, status.worked_seconds) == (
            "succeeded",
            3.0,
            3,
            50.0,
        )
        assert [d.status for d in status.deliverables] == ["found", "pending"]
        assert [c.status for c in status.checks] == ["passed", "pending"]
        assert (status.activity, status.model, status.ended_at) == ("", "m", "2026-11-22T10:01:00.000Z")


def test_a_question_with_its_options():
    options = tuple(QuestionOption(label=str(n), description="d") for n in range(28))
    row = make_question(
        options=options, answer="1", answered_by="cli", answered_at=NOW + 9.5, state=QuestionState.ANSWERED
    )
    found = views.question(State([make_task_row(name="Choose")]), row, NOW + 99)
    assert [option.key for option in found.options][:3] + [option.key for option in found.options][24:] == [
        "A", "B", "C", "Y", "Z", "AA", "AB",
    ]  # fmt: skip
    assert (found.id, found.task_name, found.waited_seconds, found.state) == (QUESTION, "Choose", 9.5, "answered")
    assert views.question(State(), row, NOW).task_name == ""


@pytest.mark.parametrize(
    ("number", "text"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
)
def test_letters(number, text):
    assert views.letter(number) == text


def test_the_daemon_in_a_line():
    assert views.summary(State([])) == "0 agents at work, 0 tasks queued"
    rows = [
        make_day(),
        make_task_row("a", state=TaskState.RUNNING),
        make_task_row("b", order=1),
        make_run(),
        make_question(),
    ]
    assert views.summary(State(rows)) == "1 agent at work, 1 task queued, 1 question open"
