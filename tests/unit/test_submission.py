"""
A task file against what is known.
"""

import pytest
from msgspec.structs import replace

from factories import DAY, LIMITS, TASK, make_day, make_file, make_run, make_task, make_task_row, spend, tell
from orchestrd.domain import events as ev
from orchestrd.domain.model import NANO, TaskState
from orchestrd.domain.rows import RunPhase
from orchestrd.domain.state import State
from orchestrd.domain.submission import compare, halted, same
from orchestrd.errors import Refused

SOURCE = f"tasks/{DAY}.yaml"
FILE = make_file(make_task("a"), make_task("b", order=1), max_cost=10 * NANO)


def submit(state: State, file, source: str = SOURCE):
    found = compare(state, file, source)
    tell(state, *found.facts)
    return found


def test_the_first_time_everything_is_new():
    found = submit(State(), FILE)
    assert (found.day, found.accepted, found.unchanged, found.updated, found.missing) == (DAY, ("a", "b"), (), (), ())
    assert found.notes == ()
    assert found.facts == (
        ev.DaySubmitted(day=DAY, source=SOURCE, limit=10 * NANO),
        ev.TaskSubmitted(task=f"{DAY}/a", spec=FILE.tasks[0]),
        ev.TaskSubmitted(task=f"{DAY}/b", spec=FILE.tasks[1]),
    )


def test_the_same_again_changes_nothing():
    state = State()
    submit(state, FILE)
    found = submit(state, FILE)
    assert (found.accepted, found.unchanged, found.updated, found.facts) == ((), ("a", "b"), (), ())


@pytest.mark.parametrize("state", [s for s in TaskState if s not in (TaskState.BLOCKED, TaskState.PAUSED)])
def test_the_same_again_changes_nothing_whatever_became_of_the_tasks(state):
    known = State([make_day(source=SOURCE, limit=10 * NANO)])
    for row in (make_task_row("a", state=state), make_task_row("b", state=state, order=1)):
        known.put(row)
    found = compare(known, FILE, SOURCE)
    assert (found.unchanged, found.facts, found.notes) == (("a", "b"), (), ())


def test_another_order_in_the_file_is_no_change():
    state = State()
    submit(state, FILE)
    turned = make_file(make_task("b", order=0), make_task("a", order=1), max_cost=10 * NANO)
    assert compare(state, turned, SOURCE).facts == ()
    assert same(make_task(order=1), make_task(order=7))
    assert not same(make_task(), make_task(description="else"))


@pytest.mark.parametrize(("source", "limit"), [(SOURCE, None), (SOURCE, 20 * NANO), ("elsewhere.yaml", 10 * NANO)])
def test_a_changed_limit_or_place_is_recorded(source, limit):
    state = State()
    submit(state, FILE)
    found = submit(state, make_file(*FILE.tasks, max_cost=limit), source)
    assert found.facts == (ev.DaySubmitted(day=DAY, source=source, limit=limit),)
    assert submit(state, make_file(*FILE.tasks, max_cost=limit), source).facts == ()


def test_another_file_without_a_limit_keeps_that_of_the_day_and_what_was_decided_under_it():
    state = State()
    submit(state, FILE)
    tell(state, ev.LimitRaised(day=DAY, amount=2 * NANO), ev.LimitReached(day=DAY, spent=12 * NANO, limit=12 * NANO))
    tell(state, ev.DayClosed(day=DAY, limit=12 * NANO, by="person"))
    before = state.day(DAY)
    for _ in range(2):
        found = submit(state, make_file(*FILE.tasks), "tasks/more.yaml")
        assert (found.limit, found.raised, found.facts) == (10 * NANO, 2 * NANO, ())
        assert found.notes == (f"no max_cost_usd is named: the day keeps the limit of $12.00 that it has by {SOURCE}",)
        assert state.day(DAY) == before
    # The file that named it may take it back.
    found = submit(state, make_file(*FILE.tasks), SOURCE)
    assert (found.limit, found.raised, found.notes, state.day(DAY).limit) == (None, 0, (), None)


def test_where_no_file_names_a_limit_there_is_nothing_to_say_of_it():
    state = State()
    submit(state, make_file(make_task("a")))
    tell(state, ev.LimitRaised(day=DAY, amount=NANO))
    found = submit(state, make_file(make_task("a"), make_task("b", order=1)), "tasks/more.yaml")
    assert (found.limit, found.raised, found.notes, found.accepted) == (None, NANO, (), ("b",))
    assert state.day(DAY).limit is None


def test_of_a_day_that_is_over_the_person_is_told_what_becomes_of_what_is_new():
    day = make_day(source=SOURCE, limit=20 * NANO, stopped_at=20 * NANO)
    spent = make_run(f"{DAY}/old/1", phase=RunPhase.EXITED, settled=spend(20))
    rows = [make_task_row("old", state=TaskState.SUCCEEDED), spent]

    def told(day, *tasks, limit=None) -> str:
        state = State([day, *rows])
        return halted(state, compare(state, make_file(*tasks, max_cost=limit), "tasks/more.yaml"), LIMITS)

    ended, new = replace(day, closed_at=20 * NANO), make_task("new")
    assert told(ended, new) == (
        f"{DAY} was ended at its limit of $20.00 ($20.00 spent): for what is new you are asked about it again"
    )
    assert told(ended, make_task("old", description="else")).startswith("nothing new starts: the day was ended at")
    assert told(day, new).startswith("nothing new starts: the day's limit of $20.00 is ")
    # Nothing is held up where nothing comes, where there is a higher limit, and where there is money.
    assert told(ended) == told(ended, new, limit=30 * NANO) == told(make_day(source=SOURCE), new) == ""


def test_a_changed_text_updates_a_task_that_is_not_being_worked_on():
    state = State([make_day(source=SOURCE), make_task_row()])
    new = make_task(description="Something else.")
    found = submit(state, make_file(new))
    assert (found.updated, found.facts) == (("task-001",), (ev.TaskUpdated(task=TASK, spec=new),))
    assert state.task(TASK).spec == new
    assert state.task(TASK).state is TaskState.QUEUED


@pytest.mark.parametrize(
    ("state", "word"),
    [(TaskState.SUCCEEDED, "succeeded"), (TaskState.FAILED, "failed"), (TaskState.CANCELLED, "been cancelled")],
)
def test_an_ended_task_is_updated_and_the_person_is_told_how_to_run_it(state, word):
    known = State([make_day(source=SOURCE), make_task_row(state=state)])
    found = submit(known, make_file(make_task(description="else")))
    assert found.updated == ("task-001",)
    assert found.notes == (f"task-001 has {word} already: `orchctl retry task-001` runs its new text",)
    assert known.task(TASK).state is state


@pytest.mark.parametrize("state", [s for s in TaskState if s.alive])
def test_a_task_that_is_being_worked_on_does_not_change(state):
    known = State([make_day(source=SOURCE), make_task_row(state=state)])
    with pytest.raises(Refused) as caught:
        compare(known, make_file(make_task("new"), make_task(description="else")), SOURCE)
    assert f"{TASK} is {state}" in caught.value.message
    assert "nothing was submitted" in caught.value.message
    assert "orchctl cancel task-001" in caught.value.hint


def test_a_task_that_is_no_longer_named_stays_and_is_mentioned():
    state = State()
    submit(state, FILE)
    found = submit(state, make_file(make_task("a"), max_cost=10 * NANO))
    assert found.missing == ("b",)
    assert found.notes == ("b was submitted before and is no longer in the file; it stays: `orchctl cancel b`",)
    assert state.task(f"{DAY}/b").state is TaskState.QUEUED


def test_an_ended_one_is_missing_without_a_word():
    state = State([make_day(source=SOURCE), make_task_row("b", state=TaskState.SUCCEEDED)])
    found = compare(state, make_file(make_task("a")), SOURCE)
    assert (found.missing, found.notes) == (("b",), ())


def test_other_days_are_left_alone():
    state = State([make_day("2026-11-21"), make_task_row("a", day="2026-11-21")])
    found = compare(state, FILE, SOURCE)
    assert (found.accepted, found.missing) == (("a", "b"), ())


@pytest.mark.parametrize(("there", "new"), [("x", "x-2"), ("x-2", "x"), ("X", "x-17"), ("x", "X")])
def test_a_new_task_does_not_share_files_with_one_of_the_day(there, new):
    state = State()
    submit(state, make_file(make_task(there)))
    with pytest.raises(Refused, match=f"'{new}' would share files with '{there}'"):
        compare(state, make_file(make_task(new)), SOURCE)


@pytest.mark.parametrize("new", ["x-1", "x-02", "y-2", "x-2-b"])
def test_a_name_that_only_looks_alike_is_free(new):
    state = State()
    submit(state, make_file(make_task("x")))
    assert compare(state, make_file(make_task(new)), SOURCE).accepted == (new,)
