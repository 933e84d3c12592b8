"""
The tables of legal steps: every pair that is not listed is refused, and every state can be reached and left.
"""

import itertools

import msgspec
import pytest

from factories import QUESTION, RUN, TASK, answered, asked, exited, initialised, make_task, started
from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome, TaskState
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.domain.transitions import QUESTION_TABLE, RUN_TABLE, TASK_TABLE, IllegalTransition, step
from orchestrd.errors import Refused

EVENTS = {
    type(event): event
    for event in (
        ev.TaskUpdated(task=TASK, spec=make_task()),
        ev.TaskChecking(task=TASK),
        ev.TaskSucceeded(task=TASK),
        ev.TaskFailed(task=TASK, outcome=Outcome.FAILED, reason="no"),
        ev.TaskRequeued(task=TASK, reason="again"),
        ev.TaskCancelled(task=TASK),
        ev.TaskApplied(task=TASK),
        started(),
        initialised(),
        ev.RunStopping(run=RUN, outcome=Outcome.TIMED_OUT, reason="late"),
        exited(),
        asked(),
        answered(),
        ev.AnswerDelivered(question=QUESTION),
        ev.QuestionWithdrawn(question=QUESTION),
    )
}
TABLES = {"task": (TASK_TABLE, TaskState), "run": (RUN_TABLE, RunPhase), "question": (QUESTION_TABLE, QuestionState)}
PAIRS = [
    pytest.param(table, state, kind, id=f"{name}-{state}-{kind.__name__}")
    for name, (table, states) in TABLES.items()
    for state, kind in itertools.product(states, EVENTS)
]
# Shown to people, never stored: the schedule calls a queued task blocked; pausing has no fact yet.
SHOWN_ONLY = {TaskState.BLOCKED, TaskState.PAUSED}
START = {"task": TaskState.QUEUED, "run": RunPhase.STARTING, "question": QuestionState.OPEN}
LAST = {
    "task": set(),
    "run": {RunPhase.EXITED},
    "question": {QuestionState.WITHDRAWN},
}


@pytest.mark.parametrize(("table", "state", "kind"), PAIRS)
def test_a_step_is_in_the_table_or_refused(table, state, kind):
    event = EVENTS[kind]
    if (state, kind) in table:
        assert step(table, state, event, "it") is table[state, kind]
    else:
        with pytest.raises(IllegalTransition) as caught:
            step(table, state, event, "it")
        assert str(state) in str(caught.value)
        assert event.name in str(caught.value)


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached(name):
    table, states = TABLES[name]
    reached = {START[name]}
    while more := {new for (old, _), new in table.items() if old in reached} - reached:
        reached |= more
    assert reached == set(states) - SHOWN_ONLY


@pytest.mark.parametrize("name", TABLES)
def test_every_state_but_the_last_can_be_left(name):
    table, states = TABLES[name]
    left = {old for (old, _), new in table.items() if new is not old}
    assert set(states) - SHOWN_ONLY - left == LAST[name]


def test_the_tables_name_only_states_that_are_stored():
    for table, _ in TABLES.values():
        assert not {state for (state, _), new in table.items() for state in (state, new)} & SHOWN_ONLY


def test_an_illegal_step_is_a_refusal_to_whoever_asked():
    assert issubclass(IllegalTransition, Refused)


@pytest.mark.parametrize("state", [s for s in TaskState if s.ended])
def test_an_ended_task_starts_no_run_by_itself(state):
    assert (state, ev.RunStarted) not in TASK_TABLE
    assert TASK_TABLE[state, ev.TaskRequeued] is TaskState.QUEUED


def test_a_live_task_can_always_be_cancelled_failed_or_requeued():
    for state in TaskState:
        if state.alive:
            assert TASK_TABLE[state, ev.TaskCancelled] is TaskState.CANCELLED
            assert TASK_TABLE[state, ev.TaskFailed] is TaskState.FAILED
            assert TASK_TABLE[state, ev.TaskRequeued] is TaskState.QUEUED


def test_an_open_run_can_always_stop_and_always_exit():
    for phase in RunPhase:
        if phase is not RunPhase.EXITED:
            assert RUN_TABLE[phase, ev.RunStopping] is RunPhase.STOPPING
            assert RUN_TABLE[phase, ev.RunExited] is RunPhase.EXITED


def test_a_first_turn_may_begin_after_a_question():
    # A hook may ask before the first `init` line: a resumed conversation takes up its parked question at once.
    for phase in (RunPhase.WAITING, RunPhase.STREAMING, RunPhase.STOPPING):
        assert RUN_TABLE[phase, ev.RunInitialised] is phase


def test_every_fact_has_a_tag_of_its_own_and_survives_the_journal():
    kinds = ev.AnyEvent.__args__
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags)
    decoder = msgspec.json.Decoder(ev.AnyEvent)
    for event in EVENTS.values():
        assert decoder.decode(msgspec.json.encode(event)) == event
