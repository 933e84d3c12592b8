"""
Random lives of a few tasks: what is stored step by step is what replaying all facts gives, and nothing contradicts itself.
"""

import random

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factories import LIMITS, NOW, OPUS, SONNET, make_rules, make_task
from orchestrd.domain import events as ev
from orchestrd.domain.enforcement import due
from orchestrd.domain.fold import fold
from orchestrd.domain.model import NANO, Isolation, Outcome, Priority, TaskState, Usage
from orchestrd.domain.report import day_report
from orchestrd.domain.reportpage import page
from orchestrd.domain.rows import QuestionState, Row, RunPhase
from orchestrd.domain.schedule import Wait, decide
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition

DAYS = ("2026-11-21", "2026-11-22")
TASKS = [f"{DAYS[0]}/a", f"{DAYS[1]}/a", f"{DAYS[1]}/b"]


def spec(task: str, **more):
    day, _, name = task.partition("/")
    return make_task(name, day=day, depends_on=("a",) if name == "b" else (), **more)


def about_day(day: str) -> list[ev.AnyEvent]:
    return [
        *(ev.DaySubmitted(day=day, source="f", limit=limit) for limit in (None, NANO, 9 * NANO)),
        ev.LimitWarned(day=day, spent=1, limit=2),
        ev.LimitReached(day=day, spent=2, limit=2),
    ]


def about_task(task: str) -> list[ev.AnyEvent]:
    return [
        ev.TaskSubmitted(task=task, spec=spec(task)),
        ev.TaskSubmitted(task=task, spec=spec(task, max_cost=NANO, priority=Priority.HIGH)),
        ev.TaskUpdated(task=task, spec=spec(task, isolation=Isolation.IN_PLACE)),
        ev.TaskChecking(task=task),
        ev.TaskSucceeded(task=task),
        ev.TaskFailed(task=task, outcome=Outcome.KILLED, reason="no"),
        ev.TaskRequeued(task=task, reason="again", session="s", not_before=NOW + 200),
        ev.TaskRequeued(task=task, reason="", by_person=True),
        ev.TaskCancelled(task=task, by="you"),
        ev.TaskApplied(task=task),
        *(event for attempt in (1, 2) for event in about_run(task, attempt)),
        *(event for number in (1, 2) for event in about_question(task, number)),
    ]


def about_run(task: str, attempt: int) -> list[ev.AnyEvent]:
    run = f"{task}/{attempt}"
    used = Usage(input=3, output=attempt)
    account = ev.ModelSpend(model=OPUS, usage=used, cost=NANO // 3)
    return [
        ev.RunStarted(run=run, task=task, attempt=attempt, session="s", tree="/t"),
        ev.RunPrepared(run=run, base="c0ffee"),
        ev.RunInitialised(run=run, model=OPUS, cli_version="2"),
        ev.RunStopping(run=run, outcome=Outcome.TIMED_OUT, reason="late"),
        ev.RunStopping(run=run, outcome=Outcome.KILLED, reason="by you", cancelled=True),
        ev.RunExited(run=run, outcome=Outcome.SUCCEEDED, summary="done", leftovers=1),
        ev.RunExited(run=run, outcome=Outcome.KILLED, signal=9),
        ev.SpendSeen(run=run, message="m", model=SONNET, usage=used, cost=NANO // 7),
        ev.SpendSettled(run=run, source="result", spends=(account,), estimated=NANO // 7),
        ev.SpendSettled(run=run, source="transcript", spends=(), estimated=0),
        ev.TurnEnded(run=run, is_error=False, terminal_reason="completed", text="fine"),
        ev.ToolCalled(run=run, call="t", tool="Bash"),
        ev.ToolReturned(run=run, call="t", is_error=True),
        ev.ViolationSeen(run=run, call="t", tool="Bash", rule="git", target="git push", reason="no"),
        *(
            ev.QuestionAsked(question=f"{task}#{number}", run=run, text="?", request=request)
            for number, request in ((1, "req-1"), (2, None))
        ),
    ]


def about_question(task: str, number: int) -> list[ev.AnyEvent]:
    question = f"{task}#{number}"
    return [
        ev.QuestionAnswered(question=question, answer="x", by="cli"),
        ev.AnswerDelivered(question=question),
        ev.QuestionWithdrawn(question=question),
    ]


EVENTS = [
    *(event for _ in range(4) for event in (ev.HomeFrozen(by="cli"), ev.HomeThawed(by="cli"))),
    *(event for day in DAYS for event in about_day(day)),
    *(event for task in TASKS for event in about_task(task)),
]
# In no order: what may follow next must not always be the same.
random.Random(7).shuffle(EVENTS)
LIVES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(-5, 50)), min_size=30, max_size=80)


def live(life) -> tuple[State, list[ev.Record]]:
    """
    A life: at each step the next fact, from a chosen place on, that may follow.
    """
    state, told, at = State(), [], NOW
    for choice, pause in life:
        at += pause
        for number in range(len(EVENTS)):
            record = ev.Record(seq=len(told) + 1, at=at, event=EVENTS[(choice + number) % len(EVENTS)])
            try:
                rows = fold(state, record)
            except IllegalTransition:
                continue
            for row in rows:
                state.put(row)
            told.append(record)
            break
    return state, told


def stored(state: State) -> list[bytes]:
    return sorted(msgspec.json.encode(row) for row in state.own_rows())


@given(LIVES)
@settings(max_examples=50, deadline=None)
def test_replaying_gives_what_was_stored_step_by_step(life):
    state, told = live(life)
    decoder = msgspec.json.Decoder(ev.AnyEvent)
    again = State()
    for record in told:
        copy = ev.Record(seq=record.seq, at=record.at, event=decoder.decode(msgspec.json.encode(record.event)))
        for row in fold(again, copy):
            again.put(row)
    assert stored(again) == stored(state)
    rows = msgspec.json.Decoder(Row)
    assert stored(State(rows.decode(data) for data in stored(state))) == stored(state)


@given(LIVES, st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_where_a_draft_begins(life, cut):
    state, told = live(life)
    base = State()
    for record in told[:cut]:
        for row in fold(base, record):
            base.put(row)
    frozen = stored(base)
    draft = base.draft()
    for number, record in enumerate(told[cut:]):
        layer = draft.draft() if number % 2 else draft
        for row in fold(layer, record):
            layer.put(row)
        if layer is not draft:
            for row in layer.own_rows():
                draft.put(row)
    assert stored(base) == frozen
    for day in DAYS:
        assert draft.tasks(day) == state.tasks(day)
        assert draft.runs(day=day) == state.runs(day=day)
        assert draft.questions(day=day) == state.questions(day=day)
        assert draft.spent(day) == state.spent(day)
    assert set(state.active_days()) <= set(draft.active_days())
    for row in draft.own_rows():
        base.put(row)
    assert stored(base) == stored(state)


@given(LIVES)
@settings(max_examples=50, deadline=None)
def test_nothing_contradicts_itself(life):
    state, told = live(life)
    for run in state.runs():
        assert (run.waiting_since is not None) <= (run.phase is RunPhase.WAITING)
        assert (run.ended_at is not None) == (run.phase is RunPhase.EXITED)
        assert (run.outcome is not None) == (run.phase is RunPhase.EXITED)
        assert run.waited >= 0
        assert run.worked(told[-1].at) >= 0
        assert run.cost == sum(spend.cost for spend in run.by_model.values())
        if run.phase is RunPhase.WAITING:
            assert any(q.state is QuestionState.OPEN for q in state.questions(run=run.key))
    for task in state.tasks():
        assert (task.ended_at is not None) == task.state.ended
        assert task.state not in (TaskState.BLOCKED, TaskState.PAUSED)
    active = {t.spec.day for t in state.tasks() if not t.state.ended or t.asked} | {
        r.task.partition("/")[0] for r in state.runs() if r.open
    }
    assert state.active_days() == sorted(active | {d.day for d in state.days() if d.asked is not None})
    assert state.spent(DAYS[0]) + state.spent(DAYS[1]) == sum(run.cost for run in state.runs())


@given(LIVES, st.integers(0, 4), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_schedule_never_starts_what_may_not(life, slots, held):
    state, told = live(life)
    now = told[-1].at if told else NOW
    rules = make_rules(max_concurrent=slots)
    decision = decide(state, rules, now, hold=Wait(reason="held", stuck=True) if held else None)
    queued = {task.key for task in state.tasks() if task.state is TaskState.QUEUED}
    assert set(decision.starts) | decision.waits.keys() == queued
    assert not set(decision.starts) & decision.waits.keys()
    assert len(decision.starts) <= slots
    assert not (held and decision.starts)
    assert decision.look_again is None or decision.look_again > now
    for key in decision.starts:
        task = state.task(key)
        assert state.spent(task.spec.day) < LIMITS.of_day(state.day(task.spec.day))
        for name in task.spec.depends_on:
            assert state.task(f"{task.spec.day}/{name}").state is TaskState.SUCCEEDED


# A run that asks while its task is queued already, and then passes the task's limit.
@example([(0, 0)] * 21 + [(n, 0) for n in (241, 4994, 49, 1197, 5786, 169, 711, 6381, 257)])
@given(LIVES)
@settings(max_examples=40, deadline=None)
def test_enforcing_once_is_enough(life):
    state, told = live(life)
    facts = due(state, LIMITS)
    for number, fact in enumerate(facts, len(told) + 1):
        for row in fold(state, ev.Record(seq=number, at=NOW, event=fact)):
            state.put(row)
    assert due(state, LIMITS) == []


@given(LIVES)
@settings(max_examples=25, deadline=None)
def test_every_day_can_be_reported(life):
    state, _ = live(life)
    for day in DAYS:
        report = day_report(state, day, LIMITS)
        assert report.spent == sum(report.by_module.values()) == sum(s.cost for s in report.by_model.values())
        assert page(report) == page(day_report(State(state.own_rows()), day, LIMITS))
