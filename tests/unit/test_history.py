"""
Of a journal that was salvaged, what is lost adds nothing up, and neither does what came after it before the salvage.
"""

from functools import partial

import pytest

from factories import NOW, TASK, make_task
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.history import effective, losses
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition

PLAIN = ev.TaskSucceeded(task=TASK)
LOST = ev.FactLost()
SALVAGED = partial(ev.JournalSalvaged, lost=1, rows=0)


def records(*events: ev.AnyEvent) -> list[ev.Record]:
    return [ev.Record(seq=n, at=NOW, event=event) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ((), []),
        ((PLAIN, PLAIN), [1, 2]),
        ((PLAIN, LOST, PLAIN, SALVAGED(first=2), PLAIN), [1, 4, 5]),
        ((LOST, SALVAGED(first=1)), [2]),
        ((PLAIN, LOST, PLAIN), [1]),
        # Of one whose rows are not all there nothing counts, nor what it made up for.
        ((PLAIN, LOST, PLAIN, SALVAGED(first=2, rows=2), PLAIN), [1]),
        ((PLAIN, PLAIN, SALVAGED(first=2, rows=1)), [1, 2]),
        ((PLAIN, LOST, SALVAGED(first=2, rows=2), PLAIN, PLAIN), [1, 3, 4, 5]),
        # The second goes back behind the first.
        ((PLAIN, LOST, PLAIN, SALVAGED(first=3), PLAIN, SALVAGED(first=2), PLAIN), [1, 6, 7]),
        ((LOST, SALVAGED(first=1), PLAIN, LOST, PLAIN), [2, 3]),
    ],
)
def test_what_counts(events, left):
    assert [record.seq for record in effective(records(*events))] == left


def test_losses_are_counted():
    assert losses(records(PLAIN, LOST, LOST, SALVAGED(first=2))) == 2


def test_a_restored_row_takes_the_place_of_what_there_was():
    state = State()
    (row,) = fold(state, *records(ev.TaskSubmitted(task=TASK, spec=make_task())))
    state.put(row)
    body = b'{"kind":"task"'.decode()
    with pytest.raises(IllegalTransition, match="cannot be restored"):
        fold(state, ev.Record(seq=2, at=NOW, event=ev.RowRestored(kind="task", key=TASK, body=body)))
