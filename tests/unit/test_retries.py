"""
What follows each outcome.
"""

import pytest

from factories import NOW, OPUS, TASK, make_run, make_task_row
from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome
from orchestrd.domain.retries import RETRIES, follow_up


def after(outcome: Outcome, *, failures: int = 0, default_retries: int = 5, run=None, **task):
    row = make_task_row(failures=failures, **task)
    run = run or make_run(model=OPUS, session="s1")
    return follow_up(row, run, outcome=outcome, reason="because", now=NOW, default_retries=default_retries)


def test_every_outcome_is_in_the_table():
    assert set(RETRIES) == set(Outcome)


def test_success_is_the_end():
    assert after(Outcome.SUCCEEDED) == ev.TaskSucceeded(task=TASK)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.SUCCEEDED])
def test_a_task_that_is_held_begins_no_other_run(outcome):
    reason = "who knows; before that: because"
    assert after(outcome, held="who knows") == ev.TaskFailed(task=TASK, outcome=outcome, reason=reason)
    assert after(Outcome.SUCCEEDED, held="who knows") == ev.TaskSucceeded(task=TASK)


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.OVER_BUDGET, Outcome.VIOLATION])
def test_what_the_person_must_give_is_not_tried_again(outcome):
    assert after(outcome) == ev.TaskFailed(task=TASK, outcome=outcome, reason="because")


@pytest.mark.parametrize(
    ("outcome", "delay", "resumes"),
    [
        (Outcome.FAILED, 2.0, False),
        (Outcome.KILLED, 2.0, True),
        (Outcome.ABANDONED, 2.0, True),
        (Outcome.STALLED, 10.0, True),
        (Outcome.RATE_LIMITED, 60.0, True),
    ],
)
def test_what_is_tried_again(outcome, delay, resumes):
    assert after(outcome) == ev.TaskRequeued(
        task=TASK,
        reason="retry 1 of 5 after: because",
        not_before=NOW + delay,
        session="s1" if resumes else None,
    )


@pytest.mark.parametrize(("failures", "delay"), [(0, 60), (1, 120), (2, 240), (3, 480), (4, 900), (9, 900)])
def test_the_pause_doubles_up_to_a_cap(failures, delay):
    assert after(Outcome.RATE_LIMITED, failures=failures, default_retries=10).not_before == NOW + delay


@pytest.mark.parametrize(
    ("own", "default", "failures", "again"),
    [(None, 1, 0, True), (None, 1, 1, False), (None, 0, 0, False), (3, 0, 2, True), (3, 0, 3, False), (0, 9, 0, False)],
)
def test_the_tasks_own_number_of_retries_counts_before_the_configured_one(own, default, failures, again):
    fact = after(Outcome.KILLED, failures=failures, default_retries=default, retries=own)
    assert isinstance(fact, ev.TaskRequeued) is again
    assert isinstance(fact, ev.TaskFailed) is not again


def test_a_conversation_that_never_began_is_not_resumed():
    assert after(Outcome.KILLED, run=make_run(model=None, session="s1")).session is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_cancel_wins_over_every_outcome(outcome):
    fact = after(outcome, run=make_run(cancelled=True))
    assert fact == ev.TaskCancelled(task=TASK, by="the person")


def test_without_a_reason_the_outcome_is_named():
    row = make_task_row()
    fact = follow_up(row, make_run(), outcome=Outcome.KILLED, reason="", now=NOW, default_retries=1)
    assert fact.reason == "retry 1 of 1 after: killed"


@pytest.mark.parametrize(("failures", "delay"), [(0, 5.0), (1, 10.0), (2, 20.0)])
def test_a_busy_service_is_left_alone_as_long_as_the_person_says(failures, delay):
    row = make_task_row(retries=5, failures=failures)
    fact = follow_up(
        row, make_run(), outcome=Outcome.RATE_LIMITED, reason="", now=NOW, default_retries=1, busy_pause=5.0
    )
    assert fact.not_before == NOW + delay
    other = follow_up(row, make_run(), outcome=Outcome.KILLED, reason="", now=NOW, default_retries=1, busy_pause=5.0)
    assert other.not_before == NOW + 2.0 * 2**failures
