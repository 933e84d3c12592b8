"""
What is asked at a day's limit, and what each answer does.
"""

from datetime import UTC

import pytest
from msgspec.structs import replace

from factories import (
    DAY,
    LIMITS,
    NOW,
    exited,
    make_day,
    make_rules,
    make_run,
    make_task,
    make_task_row,
    spend,
    started,
    tell,
)
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.dayquestion import follow
from orchestrd.domain.enforcement import due
from orchestrd.domain.model import NANO, Complexity, Outcome, TaskState, Usage
from orchestrd.domain.money import dollars, more
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.domain.schedule import Wait, decide
from orchestrd.domain.state import State
from orchestrd.domain.why import line
from orchestrd.errors import RequestError

ASKED = f"{DAY}/_day#1"


@pytest.fixture
def state() -> State:
    """
    One task at work has passed the limit of 10 dollars, another has not begun, a third is done.
    """
    run = make_run(f"{DAY}/a/1", settled=spend(10.25))
    rows = [make_task_row("a", state=TaskState.RUNNING, run=run.key, attempts=1), make_task_row("b", order=1)]
    found = State([make_day(limit=10 * NANO), *rows, make_task_row("c", state=TaskState.SUCCEEDED), run])
    tell(found, *due(found, LIMITS))
    return found


def parked(state: State) -> State:
    """
    The same once the agent is ended.
    """
    tell(state, ev.RunExited(run=f"{DAY}/a/1", outcome="over_budget", reason="limit"))
    tell(state, ev.TaskRequeued(task=f"{DAY}/a", reason="limit", session="s", counted=False))
    return state


def answer(state: State, text: str) -> list[ev.AnyEvent]:
    facts = follow(state, LIMITS, state.question(ASKED), text, "cli")
    tell(state, ev.QuestionAnswered(question=ASKED, answer=text, by="cli"), *facts)
    return facts


def test_the_question(state):
    row = state.question(ASKED)
    assert (row.state, row.run, row.task, row.of_daemon) == (QuestionState.OPEN, "", f"{DAY}/_day", True)
    assert row.text == (
        "The limit of $10.00 for 2026-11-22 is used up: $10.25 are spent. Stopped, to be gone on with: a. "
        "Not begun: b. Another sum is as good an answer: +12.50."
    )
    assert [option.label for option in row.options] == ["+$5.00", "Finish what was begun", "Stop for today"]
    assert row.options[1].description == "at most $10.25 more; nothing else begins"
    assert (row.begun, row.enough) == ((f"{DAY}/a",), round(20.5 * NANO))
    assert (state.day(DAY).asked, state.day(DAY).questions) == (ASKED, 1)
    assert due(state, LIMITS) == [], "asked once"


@pytest.mark.parametrize(
    ("text", "amount"), [("+$5.00", 5.25), ("+5", 5.25), ("+ 12.50 usd", 12.75), ("$3", 3.25), ("+$1.05", 1.30)]
)
def test_more_money_lets_everything_go_on(state, text, amount):
    facts = answer(parked(state), text)
    assert facts == [
        ev.LimitRaised(day=DAY, amount=round(amount * NANO), by="cli"),
        ev.AnswerDelivered(question=ASKED),
    ]
    assert (state.question(ASKED).state, state.day(DAY).asked) == (QuestionState.DELIVERED, None)
    assert [type(fact) for fact in due(state, LIMITS)] in ([], [ev.LimitWarned])
    assert decide(state, make_rules(), NOW).starts[0] == f"{DAY}/a"


def test_only_what_was_begun_is_finished(state):
    (raised, _) = answer(parked(state), "finish what was BEGUN")
    assert (raised.amount, raised.begun_only) == (round(10.5 * NANO), True)
    decision = decide(state, make_rules(), NOW)
    assert decision.starts == (f"{DAY}/a",)
    assert decision.waits[f"{DAY}/b"] == Wait(
        reason="only what had begun is finished on this day, as you said; name a higher max_cost_usd in its task file and submit "
        "that again",
        stuck=True,
    )
    tell(state, ev.LimitRaised(day=DAY, amount=20 * NANO))
    assert decide(state, make_rules(), NOW).starts == (f"{DAY}/a", f"{DAY}/b")


def test_the_day_is_ended(state):
    assert answer(parked(state), "Stop for today")[0] == ev.DayClosed(day=DAY, limit=10 * NANO, by="cli")
    waits = decide(state, make_rules(), NOW).waits
    assert {wait.reason for wait in waits.values()} == {
        "the day was ended at its limit of $10.00 ($10.25 spent); name a higher max_cost_usd in its task file and submit that again"
    }
    assert all(wait.stuck for wait in waits.values())
    assert due(state, LIMITS) == []
    # The same file changes nothing; a higher limit in it opens the day again.
    tell(state, ev.DaySubmitted(day=DAY, source="other.yaml", limit=10 * NANO))
    assert state.day(DAY).closed(10 * NANO)
    assert due(state, LIMITS) == []
    tell(state, ev.DaySubmitted(day=DAY, source="other.yaml", limit=40 * NANO))
    assert decide(state, make_rules(), NOW).starts == (f"{DAY}/a", f"{DAY}/b")


@pytest.mark.parametrize("text", ["yes", "5", "+0", "-5", "+1e9", "+5 euro", "A", "++5", "5$"])
def test_anything_else_is_refused_and_the_question_stays(state, text):
    with pytest.raises(RequestError) as caught:
        answer(state, text)
    assert caught.value.hint == ("Say one of: +$5.00; Finish what was begun; Stop for today; or a sum, such as +12.50.")
    assert state.question(ASKED).state is QuestionState.OPEN


def test_nothing_begun_nothing_to_finish():
    run = make_run(f"{DAY}/x/1", settled=spend(10), phase=RunPhase.EXITED)
    state = State([make_day(limit=10 * NANO), make_task_row("b"), make_task_row("x", state=TaskState.SUCCEEDED), run])
    tell(state, *due(state, LIMITS))
    assert [option.label for option in state.question(ASKED).options] == ["+$5.00", "Stop for today"]
    with pytest.raises(RequestError):
        answer(state, "finish what was begun")


def test_it_is_taken_back_when_nothing_is_left_to_do_or_the_limit_is_raised_otherwise(state):
    tell(state, ev.TaskCancelled(task=f"{DAY}/b"))
    assert due(state, LIMITS) == []
    tell(parked(state), ev.TaskCancelled(task=f"{DAY}/a"))
    # As the store sees it: a draft over a state in which the day had not ended.
    state.put(make_task_row("b"))
    draft = state.draft()
    draft.put(make_task_row("b", state=TaskState.CANCELLED))
    assert due(draft, LIMITS) == [ev.QuestionWithdrawn(question=ASKED, reason="there is nothing left to do")]
    tell(state, ev.DaySubmitted(day=DAY, source="x", limit=90 * NANO))
    assert due(state, LIMITS) == [ev.QuestionWithdrawn(question=ASKED, reason="the limit is another now")]
    tell(state, *due(state, LIMITS))
    assert state.day(DAY).asked is None


def test_it_is_asked_again_when_the_raised_limit_is_reached(state):
    answer(parked(state), "+1")
    tell(state, ev.RunStarted(run=f"{DAY}/a/2", task=f"{DAY}/a", attempt=2, session="s", tree="/t", reserved=NANO))
    tell(state, ev.SpendSeen(run=f"{DAY}/a/2", message="m", model="x", usage=Usage(), cost=2 * NANO))
    facts = due(state, LIMITS)
    assert [type(fact) for fact in facts] == [ev.LimitReached, ev.RunStopping, ev.QuestionAsked]
    assert facts[-1].question == f"{DAY}/_day#2"


def follows(state: State, *facts: ev.AnyEvent, limits: Limits = LIMITS) -> list[type]:
    """
    What *facts* make necessary, as the store records it with them.
    """
    draft = state.draft()
    tell(draft, *facts)
    found = due(draft, limits)
    tell(draft, *found)
    state.put_all(draft.own_rows())
    return [type(fact) for fact in found]


def why(state: State, task: str, limits: Limits = LIMITS) -> str:
    """
    What a person reads of *task*.
    """
    decision = decide(state, make_rules(limits=limits), NOW)
    return line(state, state.task(f"{DAY}/{task}"), decision, now=NOW, zone=UTC)[1]


class TestNobodyIsLeftUnasked:
    """
    Whenever money alone keeps something, the question is open, or the person has said that it should be so.
    """

    def test_what_is_wanted_after_the_question_was_taken_back(self, state):
        parked(state)
        assert follows(state, *(ev.TaskCancelled(task=f"{DAY}/{name}") for name in "ab")) == [ev.QuestionWithdrawn]
        again = ev.TaskRequeued(task=f"{DAY}/a", reason="asked for again", by_person=True)
        assert follows(state, again) == [ev.QuestionAsked]
        assert state.day(DAY).asked == f"{DAY}/_day#2"
        assert follows(state, ev.TaskSubmitted(task=f"{DAY}/d", spec=make_task("d"))) == []
        assert why(state, "d").endswith("used up ($10.25 spent); only you can change that")

    @pytest.mark.parametrize(
        "other",
        [
            {"depends_on": ("a",)},
            {"depends_on": ("failed",)},
            {"depends_on": ("unknown",)},
            {"max_cost": NANO // 100, "attempts": 1, "stopped_at": NANO // 100, "asked": f"{DAY}/b#1"},
        ],
        ids=["needs it", "needs a failed one", "needs an unknown one", "has used up its own limit"],
    )
    def test_one_that_could_be_paid_but_cannot_start(self, other):
        over = make_run(f"{DAY}/done/1", phase=RunPhase.EXITED, settled=spend(29.5))
        state = State([make_day(limit=30 * NANO), make_task_row("done", state=TaskState.SUCCEEDED), over])
        state.put(make_run(f"{DAY}/b/1", phase=RunPhase.EXITED, settled=spend(0.01)))
        state.put(make_task_row("failed", state=TaskState.FAILED))
        state.put(make_task_row("a", complexity=Complexity.HIGH))
        state.put(make_task_row("b", order=1, complexity=Complexity.LOW, **other))
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        assert state.question(ASKED).text.startswith(
            f"The limit of $30.00 for {DAY} is all but used up: $29.51 are spent."
        )

    def test_one_that_can_start_goes_first_and_nobody_is_told_to_act(self):
        over = make_run(f"{DAY}/done/1", phase=RunPhase.EXITED, settled=spend(29.5))
        state = State([make_day(limit=30 * NANO), make_task_row("done", state=TaskState.SUCCEEDED), over])
        state.put(make_task_row("a", complexity=Complexity.HIGH))
        state.put(make_task_row("b", order=1, complexity=Complexity.LOW, start_at=NOW + 60))
        assert follows(state) == [ev.LimitWarned]
        assert why(state, "a") == "queued: waits for money: it may need $8.00; of the day's $30.00, $29.50 are spent"

    def test_what_was_begun_and_cannot_be_paid_beside_what_may_not_begin(self):
        day = make_day(limit=30 * NANO, raised=2 * NANO, begun_only=True, stopped_at=30 * NANO, warned_at=32 * NANO)
        state = State([day, make_task_row("a", complexity=Complexity.HIGH, attempts=1)])
        state.put(make_run(f"{DAY}/a/1", phase=RunPhase.EXITED, settled=spend(31.5)))
        state.put(make_task_row("b", order=1, complexity=Complexity.LOW))
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        assert why(state, "b").startswith(
            "queued: only what had begun is finished on this day, as you said; name a higher"
        )
        # Once nothing is left but what the person left out, they are not asked about that.
        assert follows(state, ev.TaskCancelled(task=f"{DAY}/a")) == [ev.QuestionWithdrawn]
        assert why(state, "b").startswith(
            "queued: only what had begun is finished on this day, as you said; name a higher"
        )

    def test_a_limit_that_is_lowered(self, state):
        answer(parked(state), "+5")
        assert follows(state) == []
        assert follows(state, ev.DaySubmitted(day=DAY, source="x", limit=9 * NANO)) == [
            ev.LimitReached,
            ev.QuestionAsked,
        ]
        # And once more while that is open: what it says is true.
        lower = follows(state, ev.DaySubmitted(day=DAY, source="x", limit=5 * NANO))
        assert lower == [ev.LimitReached, ev.QuestionWithdrawn, ev.QuestionAsked]
        assert state.question(state.day(DAY).asked).text.startswith("The limit of $5.00")
        assert follows(state) == []

    def test_a_raise_that_is_not_enough_is_asked_about_anew(self, state):
        parked(state)
        more = [ev.LimitReached, ev.QuestionWithdrawn, ev.QuestionAsked]
        assert follows(state, ev.DaySubmitted(day=DAY, source="x", limit=round(10.3 * NANO))) == more

    def test_a_day_that_was_ended_under_a_lower_configured_limit(self):
        low, high = Limits(daily=10 * NANO), Limits(daily=100 * NANO)
        run = make_run(f"{DAY}/a/1", phase=RunPhase.EXITED, settled=spend(10))
        state = State([make_day(), make_task_row("a", attempts=1), run])
        assert follows(state, limits=low) == [ev.LimitReached, ev.QuestionAsked]
        tell(state, ev.QuestionAnswered(question=ASKED, answer="Stop for today", by="cli"))
        assert follows(state, *follow(state, low, state.question(ASKED), "Stop for today", "cli"), limits=low) == []
        assert why(state, "a", low).startswith(
            "queued: the day was ended at its limit of $10.00 ($10.00 spent); name a higher"
        )
        assert follows(state, limits=high) == []
        assert why(state, "a", high) == "queued: about to start"

    def test_who_wants_more_of_a_day_that_they_ended_is_asked_anew(self, state):
        answer(parked(state), "Stop for today")
        assert follows(state) == []
        assert follows(state, ev.TaskSubmitted(task=f"{DAY}/d", spec=make_task("d"))) == [ev.QuestionAsked]
        tell(state, ev.QuestionAnswered(question=f"{DAY}/_day#2", answer="x", by="cli"))
        tell(state, *follow(state, LIMITS, state.question(f"{DAY}/_day#2"), "Stop for today", "cli"))
        requeued = ev.TaskRequeued(task=f"{DAY}/d", reason="it was let down", counted=False)
        tell(state, started(f"{DAY}/d"), exited(f"{DAY}/d/1", outcome=Outcome.FAILED))
        assert follows(state, requeued) == [], "not by itself"
        tell(state, ev.TaskCancelled(task=f"{DAY}/d"))
        again = ev.TaskRequeued(task=f"{DAY}/d", reason="asked for again", by_person=True)
        assert follows(state, again) == [ev.QuestionAsked]

    def test_what_is_being_cancelled_or_has_used_up_its_own_limit_is_no_reason_to_ask(self):
        run = make_run(f"{DAY}/a/1", settled=spend(50), phase=RunPhase.STOPPING, cancelled=True)
        state = State([make_day(), make_task_row("a", state=TaskState.RUNNING, run=run.key), run])
        assert follows(state) == [ev.LimitReached]
        state.put(make_task_row("b", max_cost=NANO, attempts=1, run=f"{DAY}/b/1"))
        state.put(make_run(f"{DAY}/b/1", settled=spend(1), phase=RunPhase.EXITED))
        assert follows(state) == [ev.TaskLimitReached, ev.QuestionAsked], "about its own"
        assert state.question(f"{DAY}/b#1").about_task
        assert state.day(DAY).asked is None
        wait = decide(state, make_rules(), NOW).waits[f"{DAY}/b"]
        assert wait == Wait(reason="the task's own limit of $1.00 is reached", stuck=True)
        assert f"answer with: orchctl answer {DAY}/b TEXT" in why(state, "b")


class TestWhatWasBegunIsFinished:
    def begun(self, spent: float, limits: Limits, **run) -> State:
        """
        Two tasks that were stopped after *spent* dollars each.
        """
        runs = [make_run(f"{DAY}/{name}/1", phase=RunPhase.EXITED, settled=spend(spent), **run) for name in "ab"]
        rows = [make_task_row(name, attempts=1, complexity=Complexity.LOW, session="session-of-1") for name in "ab"]
        state = State([make_day(stopped_at=limits.daily, warned_at=limits.daily), *rows, *runs])
        assert follows(state, limits=limits) == [ev.QuestionAsked]
        return state

    @pytest.mark.parametrize(
        ("spent", "response", "reserve", "told"),
        [
            (25.0, 0.0, 1, "$50.00"),
            (25.5, 0.0, 1, "$51.00"),
            (22.6, 0.0, 1, "$50.00"),
            (22.6, 30.0, 1, "$124.80"),
            (22.6, 0.0, 40, "$84.80"),
            (25.0, 0.0, 0, "$50.00"),
            (22.6, 0.0, 0, "$50.00"),
            (22.6, 1.3, 0, "$50.00"),
        ],
    )
    def test_it_says_what_can_be_spent_in_all_and_leads_on(self, spent, response, reserve, told):
        limits = Limits(daily=50 * NANO, reserve=dict.fromkeys(Complexity, reserve * NANO))
        state = self.begun(spent, limits, response_cost=round(response * NANO))
        assert state.question(ASKED).options[1].description == f"at most {told} more; nothing else begins"
        tell(state, ev.QuestionAnswered(question=ASKED, answer="Finish what was begun", by="cli"))
        tell(state, *follow(state, limits, state.question(ASKED), "Finish what was begun", "cli"))
        left = limits.of_day(state.day(DAY)) - state.spent(DAY)
        assert dollars(left) == told
        assert ev.LimitReached not in follows(state, limits=limits)
        assert decide(state, make_rules(limits=limits), NOW).starts == (f"{DAY}/a", f"{DAY}/b")

    def test_one_whose_next_response_is_not_there_is_asked_about_and_not_begun(self):
        """
        Its last response cost $4, and $3 of $10 are left.
        """
        run = make_run(f"{DAY}/a/1", phase=RunPhase.EXITED, settled=spend(7), response_cost=4 * NANO)
        row = make_task_row("a", attempts=1, run=run.key, session=run.session)
        state = State([make_day(limit=10 * NANO), row, run])
        assert decide(state, make_rules(), NOW).starts == ()
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        question = state.question(ASKED)
        assert question.text.startswith(
            f"The limit of $10.00 for {DAY} is not enough for what comes next: $7.00 are spent."
        )
        assert question.options[1].description == "at most $11.00 more; nothing else begins"
        answer(state, "+1")
        assert decide(state, make_rules(), NOW).shares == {row.key: 4 * NANO}

    def test_where_nothing_was_spent_yet_a_part_of_the_step_is_the_least(self):
        limits = Limits(daily=0, reserve=dict.fromkeys(Complexity, 0), slots=2)
        state = self.begun(0.0, limits)
        assert state.question(ASKED).options[1].description == "at most $5.00 more; nothing else begins"

    def test_never_more_than_its_own_limit_leaves(self):
        runs = [
            make_run(f"{DAY}/{name}/1", phase=RunPhase.EXITED, settled=spend(25), response_cost=NANO) for name in "ab"
        ]
        rows = [make_task_row(name, attempts=1, max_cost=cost * NANO) for name, cost in (("a", 26), ("b", 25))]
        rows[1] = replace(rows[1], stopped_at=25 * NANO, asked=f"{DAY}/b#1")
        state = State([make_day(stopped_at=50 * NANO), *rows, *runs])
        assert follows(state) == [ev.QuestionAsked]
        (raised, _) = follow(state, LIMITS, state.question(ASKED), "Finish what was begun", "cli")
        assert raised.amount == NANO
        assert follows(state) == []

    def test_what_such_tasks_cost_says_nothing_of_one_that_has_cost_more(self):
        """
        Five tasks cost a cent each; one has cost ten, and goes on with one answer.
        """
        cheap = [make_task_row(f"c{n}", state=TaskState.SUCCEEDED) for n in range(5)]
        paid = [make_run(f"{task.key}/1", phase=RunPhase.EXITED, settled=spend(0.01)) for task in cheap]
        big = make_run(f"{DAY}/big/1", phase=RunPhase.EXITED, settled=spend(0.1), response_cost=NANO // 100)
        state = State([make_day(limit=round(0.15 * NANO)), *cheap, *paid, make_task_row("big", attempts=1), big])
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        assert state.question(ASKED).options[1].description == "at most $3.00 more; nothing else begins"

    def test_one_within_what_such_tasks_cost_gets_that(self):
        cheap = [make_task_row(f"c{n}", state=TaskState.SUCCEEDED) for n in range(5)]
        paid = [make_run(f"{task.key}/1", phase=RunPhase.EXITED, settled=spend(0.5)) for task in cheap]
        some = make_run(f"{DAY}/some/1", phase=RunPhase.EXITED, settled=spend(0.1))
        state = State([make_day(limit=round(2.6 * NANO)), *cheap, *paid, make_task_row("some", attempts=1), some])
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        assert state.question(ASKED).options[1].description == "at most $0.50 more; nothing else begins"

    def test_what_is_given_is_what_was_said_to_the_cent(self, state):
        state.put(make_run(f"{DAY}/a/1", phase=RunPhase.STOPPING, settled=spend(10.251), response_cost=7))
        tell(state, ev.DaySubmitted(day=DAY, source="x", limit=9 * NANO))
        tell(state, *due(state, LIMITS))
        row = state.question(state.day(DAY).asked)
        assert row.options[1].description == "at most $10.26 more; nothing else begins"
        (raised, _) = follow(state, LIMITS, row, "Finish what was begun", "cli")
        assert raised.amount == round((10.251 + 10.26 - 9) * NANO)

    def test_more_that_is_to_be_finished_is_asked_about_anew(self):
        """
        What was offered for one task is not given to four.
        """
        runs = [make_run(f"{DAY}/a/1", phase=RunPhase.EXITED, settled=spend(2))]
        state = State([make_day(limit=2 * NANO), make_task_row("a", attempts=1), *runs])
        for name in "bcd":
            state.put(make_task_row(name, state=TaskState.FAILED, attempts=1))
            state.put(make_run(f"{DAY}/{name}/1", phase=RunPhase.EXITED))
        assert follows(state) == [ev.LimitReached, ev.QuestionAsked]
        assert state.question(ASKED).options[1].description == "at most $3.00 more; nothing else begins"
        again = [ev.TaskRequeued(task=f"{DAY}/{name}", reason="asked for again", by_person=True) for name in "bcd"]
        assert follows(state, *again) == [ev.QuestionWithdrawn, ev.QuestionAsked]
        assert state.question(ASKED).state is QuestionState.WITHDRAWN
        row = state.question(f"{DAY}/_day#2")
        assert row.options[1].description == "at most $5.00 more; nothing else begins"
        (raised, _) = follow(state, LIMITS, row, "Finish what was begun", "cli")
        assert raised.amount == 5 * NANO
        assert follows(state) == []

    def test_less_that_is_to_be_finished_is_not_asked_about_again(self):
        state = self.begun(25.0, LIMITS)
        assert follows(state, ev.TaskCancelled(task=f"{DAY}/b")) == []
        (raised, _) = follow(state, LIMITS, state.question(ASKED), "Finish what was begun", "cli")
        assert raised.amount == 50 * NANO, "what was said, and no more"

    def test_what_is_not_enough_by_the_time_the_agents_have_ended_is_asked_about_anew(self, state):
        spent = [ev.SpendSeen(run=f"{DAY}/a/1", message="m", model="x", usage=Usage(), cost=11 * NANO)]
        assert follows(state, *spent) == [], "an agent is at work yet"
        ended = ev.RunExited(run=f"{DAY}/a/1", outcome="over_budget", reason="limit")
        again = ev.TaskRequeued(task=f"{DAY}/a", reason="limit", session="s", counted=False)
        assert follows(state, ended, again) == [ev.QuestionWithdrawn, ev.QuestionAsked]
        second, said = state.question(f"{DAY}/_day#2"), "Finish what was begun"
        tell(state, ev.QuestionAnswered(question=second.id, answer=said, by="cli"))
        tell(state, *follow(state, LIMITS, second, said, "cli"))
        assert ev.LimitReached not in follows(state)
        assert decide(state, make_rules(), NOW).starts == (f"{DAY}/a",)


def test_money_as_people_write_it():
    assert (more("+5"), more("$5"), more("+$ 7.50")) == (5 * NANO, 5 * NANO, round(7.5 * NANO))
    assert (more("5"), more(""), more("+5.123"), more("+1234567")) == (None, None, None, None)
    assert dollars(12_345_000_000) == "$12.35"
