"""
What is asked at a day's limit, and what each answer does.
"""

import pytest

from factories import DAY, LIMITS, NOW, make_day, make_rules, make_run, make_task_row, spend, tell
from orchestrd.domain import events as ev
from orchestrd.domain.dayquestion import follow
from orchestrd.domain.enforcement import due
from orchestrd.domain.model import NANO, TaskState, Usage
from orchestrd.domain.money import dollars, more
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.domain.schedule import Wait, decide
from orchestrd.domain.state import State
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
    assert row.options[1].description == "at most $3.00 more; nothing else begins"
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
    assert (raised.amount, raised.begun_only) == (round(3.25 * NANO), True)
    decision = decide(state, make_rules(), NOW)
    assert decision.starts == (f"{DAY}/a",)
    assert decision.waits[f"{DAY}/b"] == Wait(reason="only what had begun is finished on this day", stuck=True)
    tell(state, ev.LimitRaised(day=DAY, amount=20 * NANO))
    assert decide(state, make_rules(), NOW).starts == (f"{DAY}/a", f"{DAY}/b")


def test_the_day_is_ended(state):
    assert answer(parked(state), "Stop for today")[0] == ev.DayClosed(day=DAY, by="cli")
    waits = decide(state, make_rules(), NOW).waits
    assert {wait.reason for wait in waits.values()} == {"the day was ended at its limit of $10.00 ($10.25 spent)"}
    assert all(wait.stuck for wait in waits.values())
    assert due(state, LIMITS) == []
    # The same file changes nothing; a higher limit in it opens the day again.
    tell(state, ev.DaySubmitted(day=DAY, source="other.yaml", limit=10 * NANO))
    assert state.day(DAY).closed
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
    assert due(state, LIMITS) == [ev.QuestionWithdrawn(question=ASKED, reason="the limit was raised")]
    tell(state, *due(state, LIMITS))
    assert state.day(DAY).asked is None


def test_it_is_asked_again_when_the_raised_limit_is_reached(state):
    answer(parked(state), "+1")
    tell(state, ev.RunStarted(run=f"{DAY}/a/2", task=f"{DAY}/a", attempt=2, session="s", tree="/t", reserved=NANO))
    tell(state, ev.SpendSeen(run=f"{DAY}/a/2", message="m", model="x", usage=Usage(), cost=2 * NANO))
    facts = due(state, LIMITS)
    assert [type(fact) for fact in facts] == [ev.LimitReached, ev.RunStopping, ev.QuestionAsked]
    assert facts[-1].question == f"{DAY}/_day#2"


def test_money_as_people_write_it():
    assert (more("+5"), more("$5"), more("+$ 7.50")) == (5 * NANO, 5 * NANO, round(7.5 * NANO))
    assert (more("5"), more(""), more("+5.123"), more("+1234567")) == (None, None, None, None)
    assert dollars(12_345_000_000) == "$12.35"
