"""
One true line for every state.
"""

from datetime import UTC, timedelta, timezone

import pytest
from msgspec.structs import replace

from factories import DAY, LIMITS, NOW, RUN, TASK, make_day, make_question, make_rules, make_run, make_task_row, spend
from orchestrd.domain import why
from orchestrd.domain.events import FileChange
from orchestrd.domain.model import NANO, Cause, Check, Isolation, Outcome, TaskState
from orchestrd.domain.room import Promise, Stock
from orchestrd.domain.rows import Block, HomeRow, QuestionState, RunPhase
from orchestrd.domain.schedule import Wait, decide
from orchestrd.domain.schedule import frozen as frozen_hold
from orchestrd.domain.state import State

HOUR = 3600.0
SHORT = (Stock(name="memory", promise=Promise(each=3, keep=1), total=9, free=2),)
TINY = (Stock(name="disk", promise=Promise(each=3, keep=1), total=3, free=3),)


def told(
    *rows,
    now: float = NOW,
    zone=UTC,
    activity: str = "",
    hitch: str = "",
    slots: int = 3,
    key: str = TASK,
    limits=None,
    **more,
) -> str:
    """
    What is told of a task among *rows*, at 10:00.
    """
    state = State([make_day(), *rows])
    decision = decide(state, make_rules(max_concurrent=slots), now, **more)
    shown, line = why.line(
        state, state.task(key), decision, now=now, zone=zone, activity=activity, hitch=hitch, limits=limits
    )
    assert line.startswith(str(shown))
    assert "\n" not in line
    return line


def work(state: TaskState = TaskState.RUNNING, *, attempt: int = 1, **run) -> list:
    """
    A task with a live run, begun at 09:00.
    """
    key = f"{TASK}/{attempt}"
    row = make_task_row(
        state=state, run=key, attempts=attempt, changed_at=NOW - 60, checks=(Check(name="test", run="t"),)
    )
    return [row, make_run(key, started_at=NOW - HOUR, **run)]


class TestQueued:
    def test_about_to_start(self):
        assert told(make_task_row()) == "queued: about to start"

    def test_slots(self):
        assert told(make_task_row(), slots=0) == "queued: all 0 agent slots are taken"

    def test_a_dependency(self):
        other = make_task_row("a", state=TaskState.RUNNING)
        assert told(other, make_task_row(depends_on=("a",))) == "blocked: needs a, which is running"
        failed = make_task_row("a", state=TaskState.FAILED)
        assert told(failed, make_task_row(depends_on=("a",))) == (
            "blocked: needs a, which failed; only you can change that"
        )

    def test_money(self):
        spent = make_run(f"{DAY}/a/1", phase=RunPhase.EXITED, settled=spend(50))
        assert told(make_task_row("a", state=TaskState.SUCCEEDED), spent, make_task_row()) == (
            "queued: the day's limit of $50.00 is used up ($50.00 spent); only you can change that"
        )

    def test_a_start_time(self):
        row = make_task_row(start_at=NOW + 7.7 * HOUR)
        assert told(row) == "queued: waits for its start time, not before 17:42"
        east = timezone(timedelta(hours=5, minutes=30))
        assert told(row, zone=east) == "queued: waits for its start time, not before 23:12"
        assert told(row, zone=timezone(timedelta(hours=9))) == (
            "queued: waits for its start time, not before 2026-11-23 02:42"
        )

    def test_another_try(self):
        row = make_task_row(not_before=NOW + 120, reason="retry 2 of 3 after: it was killed")
        assert told(row) == "queued: retry 2 of 3 after: it was killed, not before 10:02"
        assert told(row, now=NOW + 120) == "queued: retry 2 of 3 after: it was killed"

    def test_a_start_time_beside_a_dependency(self):
        rows = [make_task_row("a", state=TaskState.WAITING), make_task_row(depends_on=("a",), start_at=NOW + HOUR)]
        assert told(*rows) == "blocked: needs a, which is waiting, not before 11:00"

    def test_room(self):
        assert (
            told(make_task_row(), room=SHORT)
            == "queued: waits for memory: 3 B an agent, 1 B left (2 B free, 1 B kept free)"
        )
        assert told(make_task_row(), room=TINY) == (
            "queued: never enough disk: 3 B an agent and 1 B kept free, of 3 B in all; lower agent.disk; "
            "only you can change that"
        )

    def test_a_moment_that_is_waited_for_no_more(self):
        """
        The clock was set back, and the pause is over.
        """
        other = [make_task_row("a", state=TaskState.RUNNING, run=f"{DAY}/a/1"), make_run(f"{DAY}/a/1")]
        row = make_task_row(not_before=NOW + 300, changed_at=NOW, reason="retry 1 of 1 after: x", attempts=1)
        assert told(*other, row, slots=1) == "queued: retry 1 of 1 after: x, not before 10:05"
        assert told(*other, row, slots=1, now=NOW - 2 * HOUR) == "queued: all 1 agent slots are taken"

    def test_a_hold(self):
        hold = Wait(reason="the agent CLI is not logged in", stuck=True)
        assert told(make_task_row(), hold=hold) == "queued: the agent CLI is not logged in; only you can change that"

    @pytest.mark.parametrize(
        ("own", "words"),
        [
            ({"not_before": NOW + 300, "reason": "retry 1 of 1 after: x"}, "retry 1 of 1 after: x, not before 10:05"),
            ({"start_at": NOW + 300}, "waits for its start time, not before 10:05"),
        ],
    )
    def test_a_hold_that_outlasts_its_own_moment(self, own, words):
        row = make_task_row(**own)
        frozen = HomeRow(frozen_since=NOW - 100)
        hold = frozen_hold(State([frozen]), UTC)
        assert told(frozen, row, hold=hold) == (
            f"queued: frozen since 09:58; orchctl thaw; beside that, {words}; only you can change that"
        )
        gone = HomeRow(block=Block(cause=Cause.UNAUTHORIZED, reason="401", since=NOW - 10), blocks=1)
        line = told(gone, row)
        assert line.startswith("queued: the agent has no valid login: 401; put that right")
        assert line.endswith(f"; beside that, {words}; only you can change that")

        def window(until: float) -> HomeRow:
            block = Block(cause=Cause.WINDOW, reason="resets at noon", since=NOW - 10, until=until)
            return HomeRow(block=block, blocks=1)

        line = told(window(NOW + 2 * HOUR), row)
        assert line.startswith("queued: the usage window is used up, tried again at 12:00 (resets at noon)")
        assert line.endswith(f"; beside that, {words}")
        # What is over by then will not keep it.
        assert told(window(NOW + 300), row) == told(row) == f"queued: {words}"

    def test_the_tree_is_taken(self):
        busy = [
            make_task_row("a", state=TaskState.RUNNING, isolation=Isolation.IN_PLACE, run=f"{DAY}/a/1"),
            make_run(f"{DAY}/a/1"),
        ]
        assert told(*busy, make_task_row(isolation=Isolation.IN_PLACE)) == (
            "queued: another task works in the project's own tree"
        )


class TestAlive:
    def test_at_work(self):
        assert told(*work(), activity="Bash: pytest -q") == "running since 09:00, attempt 1: Bash: pytest -q"
        assert told(*work(attempt=3)) == "running since 09:00, attempt 3: at work"

    def test_begun_yesterday(self):
        assert told(*work(), now=NOW + 24 * HOUR).startswith("running since 2026-11-22 09:00, attempt 1")

    def test_not_begun(self):
        assert (
            told(*work(phase=RunPhase.STARTING), activity="old") == "running since 09:00, attempt 1: being made ready"
        )

    @pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.CHECKING])
    def test_being_ended(self, state):
        rows = work(state, phase=RunPhase.STOPPING, stopping=Outcome.KILLED, stopping_reason="cancelled")
        assert told(*rows, activity="Bash") == f"{state}, attempt 1, being ended: cancelled"

    def test_being_ended_with_a_question_open(self):
        """
        No answer reaches it any more.
        """
        ending = {"phase": RunPhase.STOPPING, "stopping": Outcome.KILLED, "stopping_reason": "cancelled"}
        rows = [*work(TaskState.WAITING, **ending), make_question()]
        assert told(*rows) == "waiting, attempt 1, being ended: cancelled"
        state = State([make_day(), *rows])
        decision = decide(state, make_rules(), NOW)
        questions = state.questions(task=TASK)
        assert why.brief(state.task(TASK), decision, questions, state.run(RUN))[1] == "being ended: cancelled"

    def test_no_more_money_for_it(self):
        """
        At work, waiting for a person, and both with and without a question about the day.
        """
        stopped = make_day(limit=50 * NANO, stopped_at=50 * NANO, asked=f"{DAY}/_day#1")
        rows = [*work(), stopped]
        limit = "the day's limit of $50.00 is reached"
        assert told(*rows, activity="Bash make test", limits=LIMITS) == (
            f"running since 09:00, attempt 1: Bash make test; it gets no further tool call, for {limit}; "
            f"give it more: orchctl answer {DAY}"
        )
        state = State([make_day(), *work(curtailed=limit)])
        short = why.brief(state.task(TASK), decide(state, make_rules(), NOW), [], state.run(RUN))[1]
        assert short == f"no further tool call, for {limit}"
        asks = [*work(TaskState.WAITING, phase=RunPhase.WAITING), make_question(asked_at=NOW - 300)]
        whole = (
            f"waiting since 09:55: asks: Which database?; answer with: orchctl answer {TASK} TEXT; {limit}, so once it is "
            f"answered it ends, and waits for more money with your answer; "
        )
        assert told(*asks, stopped, limits=LIMITS) == f"{whole}give it more: orchctl answer {DAY}"
        ended = replace(stopped, asked=None, closed_at=50 * NANO)
        higher = "name a higher max_cost_usd in its task file and submit that again"
        assert told(*asks, ended, limits=LIMITS) == f"{whole}{higher}"
        assert "limit" not in told(*asks, limits=LIMITS)
        assert "limit" not in told(*work(TaskState.CHECKING), stopped, limits=LIMITS), "it needs none"

    @pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.CHECKING])
    def test_its_work_is_being_kept(self, state):
        up = f"; give that up with: orchctl cancel {TASK}"
        kept = f"{state} since 09:00, attempt 1: its agent has ended, and its work is being kept"
        assert told(*work(state), activity=why.KEEPING) == f"{kept}{up}"
        rows = work(state, phase=RunPhase.STOPPING, stopping=Outcome.KILLED, stopping_reason="cancelled")
        assert told(*rows, activity=why.KEEPING) == f"{kept} (cancelled){up}"

    def test_checks(self):
        assert told(*work(TaskState.CHECKING)) == "checking since 09:59, attempt 1: test"

    def test_a_question(self):
        question = make_question(text="Which\n\tdatabase?", asked_at=NOW - 300)
        answered = make_question(f"{TASK}#2", state=QuestionState.ANSWERED, asked_at=NOW - 999)
        rows = [*work(TaskState.WAITING, phase=RunPhase.WAITING), answered, question]
        expected = f"waiting since 09:55: asks: Which database?; answer with: orchctl answer {TASK} TEXT"
        assert told(*rows) == expected
        hitch = "the answer file a-answer.md cannot be taken: it is a link"
        assert told(*rows, hitch=hitch) == expected.replace("asks:", f"{hitch}; asks:")
        more = make_question(f"{TASK}#3", asked_at=NOW - 200)
        assert told(*rows, more) == expected.replace("?;", "? (2 questions);")

    def test_a_question_beside_which_it_works_on(self):
        asks = f"; works on without an answer; asks: Which database?; answer with: orchctl answer {TASK} TEXT"
        rows = [*work(), make_question(asked_at=NOW - 300)]
        assert told(*rows, activity="Bash make") == f"running since 09:00, attempt 1: Bash make{asks}"
        assert told(*rows) == f"running since 09:00, attempt 1: at work{asks}"
        frozen = [*work(frozen_since=NOW - 60), make_question(asked_at=NOW - 300)]
        told_frozen = "running since 09:00, attempt 1: frozen since 09:59; let all go on with: orchctl thaw"
        assert told(*frozen) == f"{told_frozen}{asks}"

    @pytest.mark.parametrize("state", [s for s in TaskState if s.alive])
    def test_a_run_that_is_not_known(self, state):
        assert told(make_task_row(state=state, run=RUN, changed_at=NOW - 60)) == f"{state} since 09:59"


class TestEnded:
    def done(self, state: TaskState, *, files: int = 0, **row) -> str:
        changed = tuple(FileChange(path=f"f{n}", kind="modified") for n in range(files))
        row = make_task_row(state=state, run=f"{TASK}/2", attempts=2, ended_at=NOW - HOUR, **row)
        return told(row, make_run(f"{TASK}/2", phase=RunPhase.EXITED, files=changed))

    def test_succeeded(self):
        good = TaskState.SUCCEEDED
        assert self.done(good) == "succeeded at 09:00, attempt 2, 0 files changed"
        assert self.done(good, files=1) == (
            f"succeeded at 09:00, attempt 2, 1 file changed; take it over: orchctl apply {TASK}"
        )
        assert self.done(good, files=2, applied_at=NOW) == "succeeded at 09:00, attempt 2, 2 files changed, applied"
        assert self.done(good, files=2, isolation=Isolation.IN_PLACE) == (
            "succeeded at 09:00, attempt 2, 2 files changed in place"
        )

    def test_failed(self):
        again = f"; once more: orchctl retry {TASK}"
        bad = TaskState.FAILED
        assert self.done(bad, outcome=Outcome.FAILED, reason="check failed: test") == (
            f"failed at 09:00: check failed: test{again}"
        )
        assert self.done(bad, outcome=Outcome.TIMED_OUT, reason="it worked too long") == (
            f"failed at 09:00: timed out: it worked too long{again}"
        )
        assert self.done(bad, outcome=Outcome.STALLED) == f"failed at 09:00: stalled{again}"

    def test_cancelled(self):
        assert self.done(TaskState.CANCELLED, outcome=Outcome.KILLED, reason="cancelled by the person") == (
            f"cancelled by the person at 09:00; once more: orchctl retry {TASK}"
        )

    def test_cancelled_before_its_work_was_kept(self):
        row = make_task_row(state=TaskState.CANCELLED, run=RUN, ended_at=NOW - HOUR)
        run = make_run(RUN, phase=RunPhase.EXITED, base="b" * 40, tree="/home/tree")
        lost = "; its work was not kept: its tree may still be at /home/tree"
        assert told(row, run) == f"cancelled at 09:00{lost}; once more: orchctl retry {TASK}"


@pytest.mark.parametrize("state", TaskState)
def test_a_list_shows_the_same_reason(state):
    """
    `orchctl status` and `orchctl why` never tell two stories.
    """
    row = make_task_row(state=state, reason="because", run=RUN, ended_at=NOW if state.ended else None)
    asks = [make_question()] if state is TaskState.WAITING else []
    whole = State([make_day(), row, make_run(phase=RunPhase.EXITED), *asks])
    decision = decide(whole, make_rules(max_concurrent=0), NOW)
    shown, reason = why.brief(row, decision, asks)
    long_shown, line = why.line(whole, row, decision, now=NOW, zone=UTC)
    assert shown == long_shown
    if state in (TaskState.QUEUED, TaskState.PAUSED, TaskState.WAITING, TaskState.FAILED, TaskState.CANCELLED):
        assert reason in line
