"""
Runs that the journal does not know: what comes of their tasks.
"""

from factories import RUN, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.model import Outcome
from orchestrd.domain.state import State
from orchestrd.domain.unknown import held_back, names, overtaken

TASK = RUN.rpartition("/")[0]


def after(*facts: ev.AnyEvent) -> State:
    state = State()
    for number, fact in enumerate(facts, 1):
        state.put_all(fold(state, ev.Record(seq=number, at=float(number), event=fact)))
    return state


def test_a_queued_task_fails_and_one_at_work_goes_no_further():
    queued, at_work = after(*submitted(make_task())), after(*submitted(make_task()), started())
    (failed,) = held_back(queued, [f"{TASK}/1"])
    assert isinstance(failed, ev.TaskFailed)
    assert failed.outcome is Outcome.ABANDONED
    (held,) = held_back(at_work, [f"{TASK}/2"])
    assert isinstance(held, ev.TaskHeld)
    assert names(failed, f"{TASK}/1")
    assert not names(failed, f"{TASK}/11")
    # Once.
    assert held_back(after(*submitted(make_task()), started(), held), [f"{TASK}/2"]) == []
    assert held_back(after(*submitted(make_task()), failed), [f"{TASK}/1"]) == []


def test_the_newest_by_its_number_is_named():
    (failed,) = held_back(after(*submitted(make_task())), [f"{TASK}/10", f"{TASK}/9"])
    assert names(failed, f"{TASK}/10")


def test_only_what_came_after_all_that_is_known():
    state = after(*submitted(make_task()), started())
    assert overtaken(state, [f"{TASK}/1"]) == []
    assert overtaken(state, [f"{TASK}/1", f"{TASK}/2", f"{TASK}/3"]) == [f"{TASK}/3"]
    assert overtaken(state, ["2026-11-22/never/1"]) == []
