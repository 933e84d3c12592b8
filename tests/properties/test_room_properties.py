"""
Whatever is queued, lives and is free: never more starts than fits, and nobody overtakes who waits for room.
"""

from hypothesis import given
from hypothesis import strategies as st

from factories import DAY, NOW, make_day, make_rules, make_run, make_task_row
from orchestrd.domain.model import Priority, TaskState
from orchestrd.domain.room import Promise, Room, Stock
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State

RANK = [Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW]
BYTES = st.integers(0, 40)


@st.composite
def rooms(draw: st.DrawFn, runs: list[str]) -> Room:
    stocks = []
    for name in draw(st.sampled_from([(), ("memory",), ("memory", "disk")])):
        promise = Promise(each=draw(st.integers(1, 10)), keep=draw(st.integers(0, 5)))
        total = promise.each + promise.keep + draw(st.integers(-5, 60))
        used = draw(st.dictionaries(st.sampled_from([*runs, f"{DAY}/gone/1"]), BYTES, max_size=5))
        stocks.append(Stock(name=name, promise=promise, total=total, free=draw(BYTES), used=used))
    return tuple(stocks)


@given(st.data())
def test_never_more_than_fits_and_in_order(data: st.DataObject):
    live = [f"{DAY}/live{n}/1" for n in range(data.draw(st.integers(0, 4)))]
    rows = [make_day()]
    for key in live:
        rows += [make_task_row(key.split("/")[1], state=TaskState.RUNNING, run=key), make_run(key)]
    priorities = data.draw(st.lists(st.sampled_from(RANK), max_size=8))
    queued = [make_task_row(f"q{n}", order=n, priority=p) for n, p in enumerate(priorities)]
    room = data.draw(rooms(live))
    slots = data.draw(st.integers(0, 14))
    decision = decide(State([*rows, *queued]), make_rules(max_concurrent=slots), NOW, room=room)

    order = [t.key for t in sorted(queued, key=lambda t: (RANK.index(t.spec.priority), t.spec.order))]
    assert [*decision.starts, *decision.waits] == order, "the first in line start, the rest wait"
    after = [*live, *(f"{key}/1" for key in decision.starts)]
    for stock in room:
        kept = stock.promise.keep + sum(max(0, stock.promise.each - stock.used.get(run, 0)) for run in after)
        if decision.starts:
            assert kept <= stock.free, "what was promised and not taken is there"
    for_room = [wait for wait in decision.waits.values() if "waits for" in wait.reason or "never" in wait.reason]
    assert bool(for_room) == bool(decision.short)
    assert decision.look_again == (NOW + 3.0 if decision.short else None)
    if decision.waits and not for_room:
        assert len(after) >= slots, "who does not wait for room waits for a slot"
    if for_room and not any(wait.stuck for wait in for_room):
        one_more = [s.promise.each + s.promise.keep + s.owed(after) > s.free for s in room]
        assert any(one_more), "nobody waits while there is room"
