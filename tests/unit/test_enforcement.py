"""
Limits during a run: one warning, one stop, and every run that is over is halted once.
"""

from msgspec.structs import replace

from factories import DAY, LIMITS, RUN, TASK, make_day, make_run, make_task_row, spend, started, tell
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.enforcement import due
from orchestrd.domain.model import NANO, Cause, Outcome, TaskState
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.state import State


def spending(dollars: float, *rows, day=None, **run) -> State:
    task = make_task_row(state=TaskState.RUNNING, run=RUN)
    return State([day or make_day(), task, make_run(settled=spend(dollars), **run), *rows])


def test_below_the_threshold_nothing_is_due():
    assert due(State(), LIMITS) == []
    assert due(spending(37.49), LIMITS) == []


def test_a_warning_comes_once():
    state = spending(37.5)
    facts = due(state, LIMITS)
    assert facts == [ev.LimitWarned(day=DAY, spent=round(37.5 * NANO), limit=50 * NANO)]
    tell(state, *facts)
    assert due(state, LIMITS) == []


def test_the_stop_comes_once_and_halts_every_live_run_once():
    other = make_run(f"{DAY}/b/1", settled=spend(1))
    over = make_run(f"{DAY}/c/1", phase=RunPhase.EXITED, settled=spend(1))
    tasks = [make_task_row(name, state=TaskState.RUNNING) for name in "bc"]
    state = spending(50, other, over, *tasks)
    facts = due(state, LIMITS)
    assert facts[0] == ev.LimitReached(day=DAY, spent=52 * NANO, limit=50 * NANO)
    assert {fact.run for fact in facts[1:-1]} == {RUN, other.key}
    assert {(fact.outcome, fact.reason, fact.cause) for fact in facts[1:-1]} == {
        (Outcome.OVER_BUDGET, "the day's limit of $50.00 is reached", Cause.DAY_LIMIT)
    }
    assert isinstance(facts[-1], ev.QuestionAsked)
    tell(state, *facts)
    assert due(state, LIMITS) == []


def test_a_run_that_started_as_the_day_stopped_is_halted_too():
    state = spending(50)
    tell(state, *due(state, LIMITS))
    state.put(make_run(f"{DAY}/b/1", task=f"{DAY}/b"))
    state.put(make_task_row("b", state=TaskState.RUNNING))
    assert [fact.run for fact in due(state, LIMITS)] == [f"{DAY}/b/1"]


def test_a_stop_without_a_warning_before_it_gives_no_warning_after_it():
    state = spending(50)
    facts = due(state, LIMITS)
    assert not any(isinstance(fact, ev.LimitWarned) for fact in facts)
    tell(state, *facts)
    assert state.day(DAY).warned_at is not None


def test_readings_that_no_result_covers_count():
    state = spending(0, unsettled=spend(50))
    assert isinstance(due(state, LIMITS)[0], ev.LimitReached)


def test_a_raised_limit_warns_and_stops_again():
    state = spending(50)
    tell(state, *due(state, LIMITS))
    tell(state, ev.DaySubmitted(day=DAY, source="tasks/x.yaml", limit=60 * NANO))
    facts = due(state, LIMITS)
    assert [type(fact) for fact in facts] == [ev.LimitWarned, ev.QuestionWithdrawn]
    assert facts[1].reason == "the limit is another now"
    tell(state, *facts)
    assert due(state, LIMITS) == []


def test_another_days_runs_go_on():
    yesterday = "2026-11-21"
    state = spending(50, make_day(yesterday), make_task_row("z", day=yesterday), make_run(f"{yesterday}/z/1"))
    assert [fact.run for fact in due(state, LIMITS) if isinstance(fact, ev.RunStopping)] == [RUN]


def test_one_that_waits_is_halted_only_when_work_of_it_goes_on():
    state = spending(50, phase=RunPhase.WAITING)
    assert not any(isinstance(fact, ev.RunStopping) for fact in due(state, LIMITS))
    state = spending(50, phase=RunPhase.WAITING, works_on=True)
    assert [fact.run for fact in due(state, LIMITS) if isinstance(fact, ev.RunStopping)] == [RUN]


def test_one_whose_agent_is_gone_is_not_halted():
    """
    Its work is being kept and checked, and nobody is asked for money that it does not need.
    """
    assert [type(fact) for fact in due(spending(50, leaves=True), LIMITS)] == [ev.LimitReached]


def test_the_question_stands_while_one_that_it_is_about_leaves():
    """
    Taken back and asked anew, an answer to it would come too late.
    """
    state = spending(50)
    tell(state, *due(state, LIMITS))
    asked = state.day(DAY).asked
    tell(state, ev.RunLeaving(run=RUN))
    assert due(state, LIMITS) == []
    # Its work is checked: it was done before it was stopped.
    tell(state, ev.TaskChecking(task=TASK))
    assert due(state, LIMITS) == [ev.QuestionWithdrawn(question=asked, reason="there is nothing left to do")]


class TestOneTask:
    def state(self, *rows, max_cost: float = 1.0, **run) -> State:
        task = make_task_row(state=TaskState.RUNNING, run=RUN, max_cost=round(max_cost * NANO))
        return State([make_day(), task, make_run(**run), *rows])

    def test_its_own_limit_halts_its_run_once(self):
        state = self.state(settled=spend(0.6), unsettled=spend(0.4))
        facts = due(state, LIMITS)
        assert facts[:2] == [
            ev.TaskLimitReached(task=TASK, spent=NANO, limit=NANO),
            ev.RunStopping(
                run=RUN,
                outcome=Outcome.OVER_BUDGET,
                reason="the task's limit of $1.00 is reached",
                cause=Cause.TASK_LIMIT,
            ),
        ]
        assert [type(fact) for fact in facts[2:]] == [ev.QuestionAsked]
        tell(state, *facts)
        assert due(state, LIMITS) == []

    def test_nor_does_it_halt_one_whose_agent_is_gone(self):
        assert due(self.state(settled=spend(1.0), leaves=True), LIMITS) == []

    def test_earlier_attempts_count(self):
        first = make_run(RUN, phase=RunPhase.EXITED, settled=spend(0.7))
        state = self.state(first, make_run(f"{TASK}/2", settled=spend(0.3)))
        assert [fact.run for fact in due(state, LIMITS) if isinstance(fact, ev.RunStopping)] == [f"{TASK}/2"]

    def test_below_it_nothing_is_due(self):
        assert due(self.state(settled=spend(0.749)), LIMITS) == []

    def test_a_warning_comes_once_for_each_limit(self):
        state = self.state(settled=spend(0.75))
        facts = due(state, LIMITS)
        assert facts == [ev.TaskLimitWarned(task=TASK, spent=round(0.75 * NANO), limit=NANO)]
        tell(state, *facts)
        assert due(state, LIMITS) == []
        state.put(make_run(settled=spend(1.6)))
        task = state.task(TASK)
        tell(state, ev.RunExited(run=RUN, outcome="over_budget"), ev.TaskRequeued(task=TASK, reason="x"))
        tell(state, ev.TaskUpdated(task=TASK, spec=replace(task.spec, max_cost=2 * NANO)))
        assert due(state, LIMITS) == [], "nobody is at work"
        tell(state, started(attempt=2))
        assert due(state, LIMITS) == [ev.TaskLimitWarned(task=TASK, spent=round(1.6 * NANO), limit=2 * NANO)]

    def test_the_threshold_is_the_configured_one(self):
        assert due(self.state(settled=spend(0.8)), Limits(daily=50 * NANO, warn_at=0.9)) == []

    def test_the_days_stop_and_the_tasks_halt_a_run_once_only(self):
        facts = due(self.state(settled=spend(50)), LIMITS)
        assert [type(fact) for fact in facts] == [
            ev.LimitReached,
            ev.RunStopping,
            ev.TaskLimitReached,
            ev.QuestionAsked,
        ]
        assert "day's" in facts[1].reason


class TestTheWayDown:
    """
    46 dollars of 50 are spent by two agents.
    """

    def state(self, response: float, phase: RunPhase = RunPhase.STREAMING) -> State:
        runs = [
            make_run(f"{DAY}/{name}/1", settled=spend(23), response_cost=round(response * NANO), phase=phase)
            for name in "ab"
        ]
        tasks = [make_task_row(name, state=TaskState.RUNNING, run=f"{DAY}/{name}/1") for name in "ab"]
        return State([make_day(), *tasks, *runs])

    def test_while_there_is_money_for_it_they_may_say_where_they_stand(self):
        facts = due(self.state(1.0), LIMITS)
        assert [type(fact) for fact in facts] == [ev.LimitReached, ev.QuestionAsked]

    def test_where_what_is_under_way_would_pass_the_limit_they_are_interrupted(self):
        facts = due(self.state(2.1), LIMITS)
        assert [type(fact) for fact in facts] == [ev.LimitReached, ev.RunStopping, ev.RunStopping, ev.QuestionAsked]
        assert {fact.cause for fact in facts[1:3]} == {Cause.DAY_LIMIT}

    def test_one_that_is_being_started_is_not(self):
        state = self.state(1.0)
        state.put(make_run(f"{DAY}/b/1", settled=spend(23), phase=RunPhase.STARTING))
        facts = due(state, LIMITS)
        assert [fact.run for fact in facts if isinstance(fact, ev.RunStopping)] == []
        state.put(make_run(f"{DAY}/a/1", settled=spend(23), response_cost=2 * NANO))
        facts = due(state, LIMITS)
        assert [fact.run for fact in facts if isinstance(fact, ev.RunStopping)] == [f"{DAY}/b/1"]
        assert facts[0].spent == 46 * NANO
