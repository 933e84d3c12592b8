"""
What follows each cause.
"""

import pytest

from factories import NOW, OPUS, RUN, TASK, exited, initialised, make_run, make_task_row, running_state, started, tell
from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome, Usage
from orchestrd.domain.retries import PROGRESS, REFUSALS, REMEDIES, SETBACKS, Fault, follow_up, pause, refusals, spread

SHARED = [cause for cause, remedy in REMEDIES.items() if remedy.shared]
FREE = [*SHARED, Cause.DAY_LIMIT, Cause.TASK_LIMIT]
BOUND = [cause for cause, remedy in REMEDIES.items() if remedy.bound is not None and not remedy.apart]
FINAL = [cause for cause, remedy in REMEDIES.items() if not remedy.again and cause is not Cause.DONE]
COUNTED = [cause for cause, remedy in REMEDIES.items() if remedy.again and remedy.counts]


def after(cause: Cause, *, failures: int = 0, default_retries: int = 5, run=None, reason: str = "because", **task):
    row = make_task_row(failures=failures, **task)
    run = run or make_run(model=OPUS, session="s1")
    return follow_up(row, run, cause=cause, reason=reason, now=NOW, default_retries=default_retries)


def test_every_cause_is_in_the_table_and_in_one_group():
    assert set(REMEDIES) == set(Cause)
    assert sorted([Cause.DONE, Cause.STALLED, *FREE, *BOUND, *FINAL, *COUNTED]) == sorted(Cause)
    assert {remedy.outcome for remedy in REMEDIES.values()} == set(Outcome)


def test_success_is_the_end():
    assert after(Cause.DONE) == ev.TaskSucceeded(task=TASK)


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.DONE])
def test_a_task_that_is_held_begins_no_other_run(cause):
    reason = "who knows; before that: because"
    outcome = REMEDIES[cause].outcome
    assert after(cause, held="who knows") == ev.TaskFailed(task=TASK, outcome=outcome, reason=reason)
    assert after(Cause.DONE, held="who knows") == ev.TaskSucceeded(task=TASK)


@pytest.mark.parametrize("cause", FINAL)
def test_what_the_person_must_give_is_not_tried_again(cause):
    assert after(cause) == ev.TaskFailed(task=TASK, outcome=REMEDIES[cause].outcome, reason="because")


@pytest.mark.parametrize("cause", COUNTED)
def test_what_counts_is_tried_as_often_as_the_task_may(cause):
    fact = after(cause, failures=4, fresh_starts=1)
    assert isinstance(fact, ev.TaskRequeued)
    assert fact.reason == "retry 5 of 5 after: because"
    assert (fact.counted, fact.setback, fact.fresh) == (True, False, False)
    assert fact.session == ("s1" if REMEDIES[cause].resumes else None)
    assert isinstance(after(cause, failures=5, fresh_starts=1), ev.TaskFailed)


@pytest.mark.parametrize("cause", FREE)
def test_what_is_not_the_tasks_fault_costs_it_no_try(cause):
    for default_retries in (0, 5):
        fact = after(cause, failures=5, setbacks=99, default_retries=default_retries)
        parked = REMEDIES[cause].shared
        assert fact == ev.TaskRequeued(
            task=TASK, reason="because", not_before=NOW, session="s1", counted=False, parked=parked
        )


@pytest.mark.parametrize("cause", BOUND)
def test_what_the_machine_does_costs_it_no_try_but_not_for_ever(cause):
    fact = after(cause, failures=5, setbacks=SETBACKS - 1, default_retries=0)
    assert isinstance(fact, ev.TaskRequeued)
    assert (fact.counted, fact.setback, fact.session) == (False, True, "s1")
    assert fact.not_before > NOW + 2.0
    given_up = after(cause, setbacks=SETBACKS)
    assert given_up == ev.TaskFailed(task=TASK, outcome=REMEDIES[cause].outcome, reason="because")


@pytest.mark.parametrize("cause", [Cause.OUTPUT_LIMIT, Cause.TOO_LONG, Cause.DECLINED, Cause.UNEXPLAINED])
def test_what_the_model_will_not_do_for_one_conversation_is_that_tasks_own(cause):
    assert (REMEDIES[cause].shared, REMEDIES[cause].counts) == (False, True)
    assert isinstance(after(cause, retries=0), ev.TaskFailed)
    # The same conversation would come to the same end; of what nobody explains that is not known.
    assert after(cause, retries=1).session == ("s1" if cause is Cause.UNEXPLAINED else None)


def test_the_machines_faults_are_no_tasks():
    machine = [cause for cause, remedy in REMEDIES.items() if remedy.fault is Fault.MACHINE and not remedy.shared]
    assert sorted(machine) == sorted(BOUND)
    assert {Cause.OUT_OF_MEMORY, Cause.NOT_STARTED, Cause.UNFOLLOWED} < set(BOUND)


def test_one_that_cannot_be_started_is_tried_ever_more_seldom():
    waits = [after(Cause.NOT_STARTED, setbacks=n, default_retries=0).not_before - NOW for n in range(SETBACKS)]
    for wait, seconds in zip(waits, [10, 20, 40, 80, 160], strict=True):
        assert 0.9 * seconds <= wait <= 1.1 * seconds


class TestRefusals:
    """
    What the service has against one task alone.
    """

    def count(self, *, cause: Cause = Cause.SERVER_ERROR, recovered_at: float | None = NOW, run=None, **task) -> int:
        row = make_task_row(**({"parked_at": NOW - 1, "refusals": 2} | task))
        return refusals(row, run or make_run(), cause, recovered_at, NOW + 60)

    def test_it_counts_when_others_were_answered_in_between(self):
        assert self.count() == 3
        assert self.count(recovered_at=None) == self.count(recovered_at=NOW - 2) == self.count(parked_at=None) == 2

    def test_an_answer_does_not_begin_anew(self):
        """
        What fails each run after some answers is paid for each time.
        """
        run = make_run(response="m1")
        assert self.count(run=run) == self.count(run=run, recovered_at=None) == 3
        assert self.count(run=run, parked_at=None) == 2, "the first time says nothing of it"

    def test_one_that_worked_long_does_not_count(self):
        assert self.count(run=make_run(response="m1", started_at=NOW - PROGRESS)) == 2
        assert self.count(run=make_run(started_at=NOW - PROGRESS)) == 3, "nobody answered it"

    @pytest.mark.parametrize("cause", [c for c in SHARED if c is not Cause.WINDOW and not REMEDIES[c].asks])
    def test_however_it_is_answered_it_is_tried_only_so_often(self, cause):
        """
        Each run is answered, and fails: it opens the account for all, and finds it as it was.
        """
        state = running_state(retries=0)
        for attempt in range(1, 100):
            row = state.task(TASK)
            run = f"{TASK}/{attempt}"
            if attempt > 1:
                tell(state, started(attempt=attempt), initialised(run))
            seen = ev.SpendSeen(run=run, message=f"m{attempt}", model=OPUS, usage=Usage(input=1), cost=1)
            tell(state, seen)
            refused = refusals(row, state.run(run), cause, None, NOW + 5)
            fact = follow_up(row, state.run(run), cause=cause, reason="x", now=NOW, default_retries=0, refused=refused)
            tell(state, exited(run, outcome=REMEDIES[cause].outcome), fact)
            if isinstance(fact, ev.TaskFailed):
                break
        assert attempt == REFUSALS + 1

    @pytest.mark.parametrize("cause", [Cause.WINDOW, Cause.UNAUTHORIZED, Cause.UNPAID, Cause.CRASHED, Cause.LET_DOWN])
    def test_other_ends_say_nothing_of_it(self, cause):
        assert self.count(cause=cause) == self.count(cause=cause, run=make_run(response="m1")) == 2

    def test_after_so_many_it_is_the_tasks_own_failure(self):
        values = {"cause": Cause.SERVER_ERROR, "reason": "500", "now": NOW, "default_retries": 5}
        waits = follow_up(make_task_row(), make_run(), refused=REFUSALS - 1, **values)
        assert (waits.refusals, waits.parked) == (REFUSALS - 1, True)
        assert follow_up(make_task_row(), make_run(), refused=REFUSALS, **values) == ev.TaskFailed(
            task=TASK,
            outcome=Outcome.FAILED,
            reason="the service failed it 5 times more, though it had answered in between: 500",
        )


@pytest.mark.parametrize("retries", [0, 3])
def test_what_hangs_is_taken_up_once_whatever_the_task_may(retries):
    fact = after(Cause.STALLED, retries=retries, failures=retries, setbacks=SETBACKS)
    assert isinstance(fact, ev.TaskRequeued)
    assert (fact.counted, fact.setback, fact.stall, fact.session) == (False, False, True, "s1")
    assert fact.reason == "taken up again, once, after: because"
    assert fact.not_before >= NOW + 9
    given_up = after(Cause.STALLED, retries=retries, stalls=1)
    assert given_up == ev.TaskFailed(task=TASK, outcome=Outcome.STALLED, reason="because")
    assert isinstance(after(Cause.LET_DOWN, stalls=1), ev.TaskRequeued), "it is not counted with what the machine does"


def test_it_is_counted_from_when_the_person_asked_for_the_task():
    state = running_state()
    again = after(Cause.STALLED, run=state.run(RUN))
    tell(state, exited(outcome=Outcome.STALLED), again)
    row = state.task(TASK)
    assert (row.stalls, row.setbacks, row.failures) == (1, 0, 0)
    tell(state, ev.TaskFailed(task=TASK, outcome=Outcome.STALLED, reason="x"))
    tell(state, ev.TaskRequeued(task=TASK, reason="you asked", by_person=True))
    assert state.task(TASK).stalls == 0


@pytest.mark.parametrize(
    ("before", "seconds"), [(0, 60), (1, 120), (2, 240), (3, 480), (4, 900), (9, 900), (10**6, 900)]
)
def test_the_pause_doubles_up_to_a_cap(before, seconds):
    assert 0.9 * seconds <= pause(60.0, 900.0, before, "x") <= 1.1 * seconds
    assert pause(60.0, 900.0, before, "x") == pause(60.0, 900.0, before, "x")


def test_not_all_come_back_at_once():
    waits = {pause(60.0, 900.0, 0, f"2026-11-22/task-{number}/1") for number in range(50)}
    assert len(waits) == 50
    assert max(waits) - min(waits) > 6
    assert all(0 <= spread(str(number)) < 1 for number in range(1000))


@pytest.mark.parametrize(
    ("own", "default", "failures", "again"),
    [(None, 1, 0, True), (None, 1, 1, False), (None, 0, 0, False), (3, 0, 2, True), (3, 0, 3, False), (0, 9, 0, False)],
)
def test_the_tasks_own_number_of_retries_counts_before_the_configured_one(own, default, failures, again):
    fact = after(Cause.KILLED, failures=failures, default_retries=default, retries=own)
    assert isinstance(fact, ev.TaskRequeued) is again
    assert isinstance(fact, ev.TaskFailed) is not again


@pytest.mark.parametrize("cause", [Cause.KILLED, Cause.DAY_LIMIT, Cause.TASK_LIMIT, Cause.VANISHED, Cause.WINDOW])
def test_a_conversation_that_never_began_is_not_resumed(cause):
    assert after(cause, run=make_run(model=None, session="s1")).session is None


@pytest.mark.parametrize("cause", list(Cause))
def test_a_cancel_wins_over_every_cause(cause):
    fact = after(cause, run=make_run(cancelled=True))
    assert fact == ev.TaskCancelled(task=TASK, by="the person")


def test_without_a_reason_the_outcome_is_named():
    assert after(Cause.KILLED, reason="", default_retries=1).reason == "retry 1 of 1 after: killed"
