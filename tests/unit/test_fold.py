"""
What each fact changes, and what it must leave alone.
"""

import msgspec
import pytest

from factories import (
    DAY,
    NOW,
    OPUS,
    QUESTION,
    RUN,
    SONNET,
    TASK,
    answered,
    asked,
    exited,
    initialised,
    make_task,
    records,
    running_state,
    started,
    submitted,
    tell,
)
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.model import NANO, Cause, Outcome, TaskState, Usage
from orchestrd.domain.rows import QuestionState, RunPhase, Spend
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition

HELD = ev.TaskHeld(task=TASK, reason="who knows")
STOPPING = ev.RunStopping(run=RUN, outcome=Outcome.TIMED_OUT, reason="late")


def snapshot(state: State) -> bytes:
    return msgspec.json.encode(list(state.own_rows()))


def test_fold_changes_nothing_itself():
    state = running_state()
    before = snapshot(state)
    for event in (asked(), STOPPING, exited(), ev.TaskCancelled(task=TASK), ev.SpendSeen(
        run=RUN, message="m", model=OPUS, usage=Usage(input=1), cost=4000
    )):  # fmt: skip
        assert fold(state, ev.Record(seq=9, at=NOW, event=event))
        assert snapshot(state) == before


def test_a_draft_keeps_its_changes_apart():
    state = running_state()
    before = snapshot(state)
    draft = state.draft()
    tell(draft, asked())
    assert snapshot(state) == before
    assert draft.run(RUN).phase is RunPhase.WAITING
    assert {row.key for row in draft.own_rows()} == {RUN, TASK, QUESTION}
    assert [row.key for row in draft.tasks()] == [TASK]


@pytest.mark.parametrize(
    "event",
    [
        ev.TaskUpdated(task=TASK, spec=make_task()),
        ev.TaskChecking(task=TASK),
        started(),
        initialised(),
        STOPPING,
        exited(),
        ev.RunPrepared(run=RUN, base="c0ffee"),
        ev.ToolCalled(run=RUN, call="t1", tool="Bash"),
        asked(),
        answered(),
        ev.AnswerDelivered(question=QUESTION),
        ev.QuestionWithdrawn(question=QUESTION),
    ],
    ids=lambda event: event.name,
)
def test_a_fact_about_something_unknown_is_refused(event):
    with pytest.raises(IllegalTransition):
        fold(State(), ev.Record(seq=1, at=NOW, event=event))


@pytest.mark.parametrize("again", [ev.TaskSubmitted(task=TASK, spec=make_task()), started()])
def test_the_same_name_is_not_made_twice(again):
    with pytest.raises(IllegalTransition):
        tell(running_state(), again)


def test_a_question_is_not_asked_twice():
    state = running_state()
    tell(state, asked())
    with pytest.raises(IllegalTransition):
        tell(state, asked())


def test_facts_about_the_daemon_change_no_row():
    assert fold(State(), ev.Record(seq=1, at=NOW, event=ev.DaemonStarted(pid=1, version="0"))) == []
    assert fold(State(), ev.Record(seq=1, at=NOW, event=ev.DaemonStopped(pid=1))) == []


class TestDay:
    def test_a_limit_warning_and_a_stop_are_remembered(self):
        state = State()
        tell(state, *submitted(limit=NANO))
        tell(state, ev.LimitWarned(day=DAY, spent=8, limit=NANO))
        assert (state.day(DAY).warned(NANO), state.day(DAY).stopped(NANO)) == (True, False)
        tell(state, ev.LimitReached(day=DAY, spent=NANO, limit=NANO))
        assert (state.day(DAY).warned(NANO), state.day(DAY).stopped(NANO)) == (True, True)

    def test_another_limit_forgets_them_and_the_same_limit_does_not(self):
        state = State()
        tell(state, *submitted(limit=NANO), ev.LimitReached(day=DAY, spent=NANO, limit=NANO))
        tell(state, ev.DaySubmitted(day=DAY, source="elsewhere.yaml", limit=NANO))
        assert state.day(DAY).stopped(NANO)
        assert state.day(DAY).source == "elsewhere.yaml"
        tell(state, ev.DaySubmitted(day=DAY, source="elsewhere.yaml", limit=2 * NANO))
        assert not state.day(DAY).stopped(2 * NANO)
        assert not state.day(DAY).warned(2 * NANO)
        assert state.day(DAY).submitted_at == NOW


def test_an_agent_is_curtailed_until_it_is_granted_a_call_again():
    state = running_state()
    tell(state, ev.RunCurtailed(run=RUN, cause=Cause.DAY_LIMIT, reason="the day's limit"))
    tell(state, ev.RunCurtailed(run=RUN, cause=Cause.TASK_LIMIT, reason="the task's limit"))
    assert (state.run(RUN).curtailed, state.run(RUN).curtailed_cause) == ("the day's limit", Cause.DAY_LIMIT)
    # More money alone is no reason: it may have stopped already.
    tell(state, ev.LimitRaised(day=DAY, amount=NANO))
    assert state.run(RUN).curtailed_cause is Cause.DAY_LIMIT
    tell(state, ev.RunRelieved(run=RUN))
    assert (state.run(RUN).curtailed, state.run(RUN).curtailed_cause) == ("", None)
    tell(state, ev.RunCurtailed(run=RUN, cause=Cause.TASK_LIMIT, reason="the task's limit"))
    assert state.run(RUN).curtailed_cause is Cause.TASK_LIMIT


class TestTask:
    def test_a_whole_life(self):
        state = State()
        events = [
            *submitted(make_task()),
            started(),
            ev.RunPrepared(run=RUN, base="c0ffee"),
            initialised(),
            ev.TaskChecking(task=TASK),
            exited(result="beef", summary="done", leftovers=2),
            ev.TaskSucceeded(task=TASK),
            ev.TaskApplied(task=TASK),
        ]
        for record in records(events):
            for row in fold(state, record):
                state.put(row)
        task, run = state.task(TASK), state.run(RUN)
        assert (task.state, task.outcome, task.attempts, task.failures) == (
            TaskState.SUCCEEDED, Outcome.SUCCEEDED, 1, 0,
        )  # fmt: skip
        assert (task.submitted_at, task.started_at, task.ended_at, task.applied_at) == (
            NOW + 1,
            NOW + 2,
            NOW + 7,
            NOW + 8,
        )
        assert (run.phase, run.base, run.result, run.summary, run.leftovers) == (
            RunPhase.EXITED, "c0ffee", "beef", "done", 2,
        )  # fmt: skip
        assert run.ended_at == NOW + 6

    def test_a_failed_run_counts_and_a_persons_retry_starts_the_count_anew(self):
        state = running_state()
        tell(state, exited(outcome=Outcome.KILLED, signal=9))
        tell(state, ev.TaskRequeued(task=TASK, reason="again", not_before=NOW + 60, session="s1"))
        task = state.task(TASK)
        assert (task.state, task.failures, task.not_before, task.session) == (TaskState.QUEUED, 1, NOW + 60, "s1")
        assert task.started_at == NOW
        tell(state, started(attempt=2))
        assert state.task(TASK).session is None
        tell(state, exited(run=f"{TASK}/2", outcome=Outcome.FAILED))
        tell(state, ev.TaskFailed(task=TASK, outcome=Outcome.FAILED, reason="no"))
        assert (state.task(TASK).failures, state.task(TASK).attempts) == (2, 2)
        tell(state, ev.TaskRequeued(task=TASK, reason="", by_person=True))
        task = state.task(TASK)
        assert (task.failures, task.attempts, task.outcome, task.ended_at) == (0, 2, None, None)

    def test_applying_is_forgotten_when_the_task_runs_again(self):
        state = running_state()
        tell(state, exited(), ev.TaskSucceeded(task=TASK), ev.TaskApplied(task=TASK))
        tell(state, ev.TaskRequeued(task=TASK, reason="", by_person=True))
        assert state.task(TASK).applied_at is None

    def test_cancelling_says_who(self):
        state = State()
        tell(state, *submitted(make_task()), ev.TaskCancelled(task=TASK, by="the person"))
        assert state.task(TASK).reason == "cancelled by the person"
        assert state.task(TASK).ended_at == NOW


class TestStopping:
    def test_the_first_reason_stands_and_a_later_cancel_is_remembered(self):
        state = running_state()
        tell(state, STOPPING)
        tell(state, ev.RunStopping(run=RUN, outcome=Outcome.OVER_BUDGET, reason="dear"))
        run = state.run(RUN)
        assert (run.stopping, run.stopping_reason, run.cancelled) == (Outcome.TIMED_OUT, "late", False)
        tell(state, ev.RunStopping(run=RUN, outcome=Outcome.KILLED, reason="by you", cancelled=True))
        run = state.run(RUN)
        assert (run.stopping, run.stopping_reason, run.cancelled) == (Outcome.TIMED_OUT, "late", True)

    def test_an_exited_run_is_over(self):
        state = running_state()
        tell(state, exited())
        for event in (exited(), STOPPING, initialised(), asked()):
            with pytest.raises(IllegalTransition):
                tell(state, event)


class TestWaiting:
    def test_the_clock_runs_from_the_first_question_to_the_last_answer(self):
        state = running_state()
        tell(state, asked(), at=NOW + 10)
        tell(state, asked(f"{TASK}#2"), at=NOW + 20)
        assert state.run(RUN).waiting_since == NOW + 10
        assert state.task(TASK).questions == 2
        tell(state, answered(f"{TASK}#2"), at=NOW + 30)
        assert state.task(TASK).state is TaskState.WAITING
        assert state.run(RUN).worked(NOW + 40) == 10.0
        tell(state, answered(), at=NOW + 50)
        run = state.run(RUN)
        assert (run.phase, run.waiting_since, run.waited) == (RunPhase.STREAMING, None, 40.0)
        assert state.task(TASK).state is TaskState.RUNNING
        assert run.worked(NOW + 60) == 20.0

    def test_two_waits_add_up(self):
        state = running_state()
        tell(state, asked(), at=NOW + 10)
        tell(state, answered(), at=NOW + 15)
        tell(state, ev.AnswerDelivered(question=QUESTION), at=NOW + 16)
        tell(state, asked(f"{TASK}#2"), at=NOW + 20)
        tell(state, ev.QuestionWithdrawn(question=f"{TASK}#2", reason="never mind"), at=NOW + 27)
        assert state.run(RUN).waited == 12.0

    def test_a_stop_while_waiting_stops_the_clock(self):
        state = running_state()
        tell(state, asked(), at=NOW + 10)
        tell(state, STOPPING, at=NOW + 30)
        run = state.run(RUN)
        assert (run.phase, run.waiting_since, run.waited) == (RunPhase.STOPPING, None, 20.0)
        tell(state, asked(f"{TASK}#2"), at=NOW + 31)
        assert state.run(RUN).waiting_since is None
        tell(state, answered(), at=NOW + 35)
        tell(state, ev.QuestionWithdrawn(question=f"{TASK}#2"), at=NOW + 36)
        assert (state.run(RUN).phase, state.run(RUN).waited) == (RunPhase.STOPPING, 20.0)
        assert state.task(TASK).state is TaskState.RUNNING

    def test_an_exit_while_waiting_stops_the_clock(self):
        state = running_state()
        tell(state, asked(), at=NOW + 10)
        tell(state, exited(outcome=Outcome.KILLED), at=NOW + 40)
        run = state.run(RUN)
        assert (run.waiting_since, run.waited, run.worked(NOW + 999)) == (None, 30.0, 10.0)

    def test_a_wall_clock_that_goes_back_costs_no_time(self):
        state = running_state()
        tell(state, asked(), at=NOW + 10)
        tell(state, answered(), at=NOW - 3600)
        assert state.run(RUN).waited == 0.0

    def test_a_question_withdrawn_with_the_run_moves_nothing_else(self):
        state = running_state()
        tell(
            state, asked(), exited(outcome=Outcome.KILLED), ev.TaskFailed(task=TASK, outcome=Outcome.KILLED, reason="x")
        )
        rows = tell(state, ev.QuestionWithdrawn(question=QUESTION))
        assert [row.key for row in rows] == [QUESTION]
        assert state.task(TASK).state is TaskState.FAILED

    def test_an_answer_that_is_not_delivered_can_be_withdrawn_without_waiting_again(self):
        state = running_state()
        tell(state, asked(), answered())
        rows = tell(state, ev.QuestionWithdrawn(question=QUESTION))
        assert [row.key for row in rows] == [QUESTION]
        assert state.question(QUESTION).state is QuestionState.WITHDRAWN

    def test_only_the_first_answer_counts(self):
        state = running_state()
        tell(state, asked(), answered())
        with pytest.raises(IllegalTransition):
            tell(state, answered(answer="Postgres"))
        assert state.question(QUESTION).answer == "SQLite"

    def test_a_question_before_the_first_turn(self):
        state = State()
        tell(state, *submitted(make_task()), started(), asked(), initialised())
        assert state.run(RUN).phase is RunPhase.WAITING
        tell(state, answered())
        assert (state.run(RUN).phase, state.run(RUN).model) == (RunPhase.STREAMING, OPUS)


BY_FILE = asked(request=None)
TURN_ENDED = ev.TurnEnded(run=RUN, is_error=False, terminal_reason="completed", text="I have asked.")
CALLED = ev.ToolCalled(run=RUN, call="t1", tool="Bash")


def reading(message: str) -> ev.SpendSeen:
    return ev.SpendSeen(run=RUN, message=message, model=OPUS, usage=Usage(input=1), cost=1)


class TestAskedByFile:
    """
    What is asked by file holds no call: the agent works on, and waits once its turn is over.
    """

    def stand(self, state: State) -> tuple[RunPhase, TaskState, bool]:
        run = state.run(RUN)
        assert (run.waiting_since is not None) == (run.phase is RunPhase.WAITING)
        return run.phase, state.task(TASK).state, run.spends

    WORKS = (RunPhase.STREAMING, TaskState.RUNNING, True)
    WAITS = (RunPhase.WAITING, TaskState.WAITING, False)

    def test_it_waits_from_the_end_of_its_turn(self):
        state = running_state()
        tell(state, reading("m1"), BY_FILE, at=NOW + 10)
        assert self.stand(state) == self.WORKS
        assert state.task(TASK).questions == 1
        tell(state, CALLED, reading("m2"), at=NOW + 20)
        assert self.stand(state) == self.WORKS
        tell(state, TURN_ENDED, at=NOW + 30)
        assert self.stand(state) == self.WAITS
        assert state.run(RUN).worked(NOW + 99) == 30.0
        tell(state, answered(), at=NOW + 50)
        assert self.stand(state) == self.WORKS
        assert state.run(RUN).waited == 20.0

    def test_what_is_read_only_after_its_turn_is_waited_for_at_once(self):
        state = running_state()
        tell(state, TURN_ENDED, BY_FILE)
        assert self.stand(state) == self.WAITS

    @pytest.mark.parametrize("sign", [reading("m2"), CALLED], ids=["response", "call"])
    def test_a_turn_that_it_begins_by_itself_is_work(self, sign):
        state = running_state()
        tell(state, reading("m1"), BY_FILE, TURN_ENDED)
        tell(state, reading("m1"))
        assert self.stand(state) == self.WAITS
        tell(state, sign)
        assert self.stand(state) == self.WORKS
        tell(state, TURN_ENDED)
        assert self.stand(state) == self.WAITS

    def test_an_answer_begins_a_turn_whatever_else_it_asked(self):
        state = running_state()
        tell(state, BY_FILE, asked(f"{TASK}#2", request=None), TURN_ENDED, answered())
        assert self.stand(state) == self.WAITS
        tell(state, ev.AnswerDelivered(question=QUESTION))
        assert self.stand(state) == self.WORKS
        tell(state, TURN_ENDED)
        assert self.stand(state) == self.WAITS

    @pytest.mark.parametrize("end", [answered(), ev.QuestionWithdrawn(question=QUESTION)])
    def test_an_answer_while_it_works_changes_nothing_of_that(self, end):
        state = running_state()
        tell(state, BY_FILE, end)
        assert self.stand(state) == self.WORKS
        tell(state, TURN_ENDED)
        assert self.stand(state) == self.WORKS

    def test_beside_a_call_that_is_held_it_waits(self):
        state = running_state()
        tell(state, BY_FILE, asked(f"{TASK}#2"))
        assert self.stand(state) == self.WAITS
        tell(state, answered(f"{TASK}#2"))
        assert self.stand(state) == self.WORKS


class TestWorkBesideAQuestion:
    def test_another_response_while_it_waits_is_spent_in_the_background(self):
        state = running_state()
        tell(state, reading("m1"), asked(), CALLED, reading("m1"))
        assert not state.run(RUN).spends
        tell(state, reading("s1"))
        run = state.run(RUN)
        assert (run.phase, run.works_on, run.spends) == (RunPhase.WAITING, True, True)
        tell(state, answered(), ev.AnswerDelivered(question=QUESTION), reading("m2"), asked(f"{TASK}#2"))
        assert not state.run(RUN).spends


def test_an_agent_that_leaves_spends_nothing_unless_it_begins_another_turn():
    state = running_state()
    tell(state, reading("m1"), TURN_ENDED)
    assert state.run(RUN).spends, "nobody has said that this was its last"
    tell(state, ev.RunLeaving(run=RUN))
    assert (state.run(RUN).leaves, state.run(RUN).spends) == (True, False)
    tell(state, reading("m1"))
    assert not state.run(RUN).spends, "a late repeat"
    tell(state, reading("m2"))
    assert (state.run(RUN).leaves, state.run(RUN).spends) == (False, True)


class TestSpend:
    def seen(self, message: str, cost: int, model: str = OPUS, **usage: int) -> ev.SpendSeen:
        return ev.SpendSeen(run=RUN, message=message, model=model, usage=Usage(**usage), cost=cost)

    def settled(self, cost: int, estimated: int, model: str = OPUS, **usage: int) -> ev.SpendSettled:
        account = ev.ModelSpend(model=model, usage=Usage(**usage), cost=cost)
        return ev.SpendSettled(run=RUN, source="result", spends=(account,), estimated=estimated)

    def test_readings_count_until_the_account_replaces_them(self):
        state = running_state()
        tell(state, self.seen("m1", 100, input=10), self.seen("m1", 40, output=2), self.seen("m2", 5, SONNET, output=1))
        run = state.run(RUN)
        assert run.cost == 145
        assert run.unsettled == {
            OPUS: Spend(usage=Usage(input=10, output=2), cost=140),
            SONNET: Spend(usage=Usage(output=1), cost=5),
        }
        tell(state, self.settled(150, 145, input=10, output=4))
        run = state.run(RUN)
        assert (run.cost, run.unsettled, run.drift) == (150, {}, 5)
        assert run.usage == Usage(input=10, output=4)

    def test_several_results_add_up_with_their_drift(self):
        state = running_state()
        tell(state, self.seen("m1", 100, input=10), self.settled(90, 100, input=9))
        tell(state, self.seen("m2", 30, input=3), self.settled(30, 30, input=3), self.settled(7, 0, SONNET, output=1))
        run = state.run(RUN)
        assert (run.cost, run.drift) == (127, -10 + 0 + 7)
        assert run.settled[OPUS] == Spend(usage=Usage(input=12), cost=120)
        tell(state, self.seen("m3", 1, input=1))
        assert run.by_model.keys() == {OPUS, SONNET}
        assert state.run(RUN).by_model[OPUS].cost == 121
        assert state.spent(DAY) == state.task_cost(TASK) == 128

    def test_spend_may_arrive_after_the_exit(self):
        state = running_state()
        tell(state, exited(outcome=Outcome.KILLED), self.settled(9, 0, input=1))
        assert state.run(RUN).cost == 9


def test_counters():
    state = running_state()
    tell(
        state,
        ev.ToolCalled(run=RUN, call="t1", tool="Bash"),
        ev.ToolReturned(run=RUN, call="t1", is_error=True),
        ev.ToolCalled(run=RUN, call="t2", tool="Bash"),
        ev.ToolReturned(run=RUN, call="t2", is_error=False),
        ev.RetrySeen(run=RUN, attempt=1, status=529, error="overloaded"),
        ev.StreamDamaged(run=RUN, offset=0, length=3, reason="not JSON"),
        ev.TurnEnded(run=RUN, is_error=True, terminal_reason="api_error", text="oh", turns=1),
        ev.TurnEnded(run=RUN, is_error=False, terminal_reason="completed", text="fine", turns=1),
    )
    run = state.run(RUN)
    assert (run.tool_calls, run.tool_errors, run.retries, run.damaged, run.turns_ended) == (2, 1, 1, 1, 2)
    assert (run.is_error, run.terminal_reason, run.last_text) == (False, "completed", "fine")


def test_violations_have_rows_of_their_own():
    state = running_state()
    for target in ("git push", "git commit"):
        tell(state, ev.ViolationSeen(run=RUN, call="t", tool="Bash", rule="git", target=target, reason="no"))
    assert state.run(RUN).violations == 2
    assert [(v.key, v.target) for v in state.violations(task=TASK)] == [
        (f"{RUN}!1", "git push"),
        (f"{RUN}!2", "git commit"),
    ]
    assert state.violations(day="2026-11-23") == []


def test_what_a_fact_is_about():
    assert (ev.task_of(asked()), ev.day_of(asked()), ev.run_of(asked())) == (TASK, DAY, RUN)
    assert (ev.task_of(exited()), ev.day_of(exited()), ev.run_of(exited())) == (TASK, DAY, RUN)
    assert (ev.task_of(answered()), ev.run_of(answered())) == (TASK, None)
    reached = ev.LimitReached(day=DAY, spent=1, limit=1)
    assert (ev.task_of(reached), ev.day_of(reached), ev.run_of(reached)) == (None, DAY, None)
    assert ev.day_of(ev.DaemonStopped(pid=1)) is None


def test_a_task_is_held_until_the_person_asks_for_it():
    state = State()
    tell(state, *submitted(make_task()), started(), HELD)
    assert state.task(TASK).held == "who knows"
    tell(state, ev.TaskFailed(task=TASK, outcome=Outcome.ABANDONED, reason="no"))
    assert state.task(TASK).held == "who knows"
    tell(state, ev.TaskRequeued(task=TASK, reason="asked for again", by_person=True))
    assert state.task(TASK).held == ""
