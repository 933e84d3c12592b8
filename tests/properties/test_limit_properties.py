"""
Whatever stands still for money: the person is asked, or has said that it should.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from factories import DAY, LIMITS, NOW, make_day, make_rules, make_run, make_task_row, spend, tell
from orchestrd.domain import ceiling
from orchestrd.domain import events as ev
from orchestrd.domain.consequences import due
from orchestrd.domain.model import NANO, Complexity, TaskState
from orchestrd.domain.rows import DayRow, Row, RunPhase
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State

NAMES = ("a", "b", "c", "d")
MONEY = ("the day's limit", "waits for money")
STATES = (TaskState.QUEUED, TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED)


@st.composite
def tasks(draw: st.DrawFn) -> list[Row]:
    """
    A few tasks that need, cost and may cost anything.
    """
    rows: list[Row] = []
    for order, name in enumerate(NAMES[: draw(st.integers(1, len(NAMES)))]):
        state = draw(st.sampled_from(STATES))
        begun = state is not TaskState.QUEUED or draw(st.booleans())
        cost = draw(st.sampled_from((0.0, 0.0, 4.9, 9.8)))
        if begun:
            cancelled = state is TaskState.RUNNING and draw(st.booleans())
            phase = RunPhase.STREAMING if state is TaskState.RUNNING else RunPhase.EXITED
            phase = RunPhase.STOPPING if cancelled else phase
            response = draw(st.sampled_from((0, NANO // 10, NANO)))
            key = f"{DAY}/{name}/1"
            rows.append(make_run(key, settled=spend(cost), phase=phase, response_cost=response, cancelled=cancelled))
        task = make_task_row(
            name,
            order=order,
            state=state,
            run=f"{DAY}/{name}/1" if begun else None,
            attempts=int(begun),
            complexity=draw(st.sampled_from(Complexity)),
            max_cost=draw(st.sampled_from((None, None, NANO))),
            depends_on=tuple(draw(st.sets(st.sampled_from((*NAMES[:order], "unknown")), max_size=1))),
        )
        rows.append(task)
    return rows


@st.composite
def days(draw: st.DrawFn) -> DayRow:
    """
    A day with any limit, and with anything that may have been said of an earlier one.
    """
    some = st.sampled_from((None, None, 5 * NANO, 10 * NANO, 20 * NANO))
    return make_day(
        limit=draw(st.sampled_from((10 * NANO, 10 * NANO, 0, 5 * NANO, 20 * NANO))),
        stopped_at=draw(some),
        closed_at=draw(some),
        begun_only=draw(st.booleans()),
    )


@settings(max_examples=400)
@given(day=days(), rows=tasks())
def test_nothing_stands_still_for_money_unasked(day: DayRow, rows: list[Row]) -> None:
    state = State([day, *rows])
    tell(state, *due(state, LIMITS))
    row = state.day(DAY)
    assert row is not None
    limit = LIMITS.of_day(row)
    decision = decide(state, make_rules(), NOW)
    for_money = [wait for wait in decision.waits.values() if wait.reason.startswith(MONEY)]
    moves = decision.starts or state.live(DAY)
    if any(wait.stuck for wait in for_money) or (for_money and not moves):
        assert row.asked is not None
    if row.asked is not None:
        assert row.stopped(limit)
        assert not row.closed(limit)
        assert ceiling.wanting(state, DAY)
    # Nobody is asked again, or not any more, unless something changes.
    assert not any(isinstance(fact, ev.QuestionAsked | ev.QuestionWithdrawn) for fact in due(state, LIMITS))
