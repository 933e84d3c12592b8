"""
Money by day, task, run, model and module: the same sum, however it is cut.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import make_day, make_run, make_task_row
from orchestrd.domain.budget import Limits, PriceTable
from orchestrd.domain.costs import costs, total
from orchestrd.domain.model import NANO, Grouping, Usage
from orchestrd.domain.rows import Spend
from orchestrd.domain.state import State
from orchestrd.protocol import api
from orchestrd.services import views

PRICE = {"input": 4.0, "output": 20.0, "cache_write_5m": 5.0, "cache_write_1h": 8.0, "cache_read": 0.4}
PRICES = PriceTable.of("2026-11-20", {"opus": PRICE})
OLD, NEW = "2026-11-21", "2026-11-22"


def spend(tokens: int, cost: int) -> Spend:
    return Spend(usage=Usage(input=tokens), cost=cost)


def two_days() -> State:
    """
    An old day with one task, a new one with two, of which one has two runs and one spends on a model of no known price.
    """
    return State(
        [
            make_day(OLD, limit=10 * NANO),
            make_day(NEW),
            make_task_row("a", day=OLD, module="shop"),
            make_run(f"{OLD}/a/1", settled={"opus": spend(1, 100)}, drift=7),
            make_task_row("a", day=NEW, module="shop"),
            make_run(f"{NEW}/a/1", settled={"opus": spend(2, 200), "haiku": spend(3, 30)}, drift=-2),
            make_run(f"{NEW}/a/2", settled={"opus": spend(4, 400)}, unsettled={"opus": spend(5, 50)}),
            make_task_row("b", day=NEW, order=1),
            make_run(f"{NEW}/b/1", unsettled={"opus": spend(6, 60)}),
            make_task_row("c", day=NEW, order=2),
            make_run(f"{NEW}/c/1"),
        ]
    )


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        (Grouping.DAY, {OLD: 100, NEW: 740}),
        (Grouping.TASK, {f"{OLD}/a": 100, f"{NEW}/a": 680, f"{NEW}/b": 60}),
        (Grouping.RUN, {f"{OLD}/a/1": 100, f"{NEW}/a/1": 230, f"{NEW}/a/2": 450, f"{NEW}/b/1": 60}),
        (Grouping.MODEL, {"opus": 810, "haiku": 30}),
        (Grouping.MODULE, {"shop": 780, "": 60}),
    ],
)
def test_each_way_to_sum(by, sums):
    found = costs(two_days(), PRICES, by)
    assert {cost.key: cost.cost for cost in found} == sums
    # In this order, too.
    assert [cost.key for cost in found] == list(sums)
    whole = total(found)
    assert (whole.cost, whole.estimated, whole.usage.input, len(whole.runs)) == (840, 110, 21, 4)
    assert whole.unpriced == {"haiku"}
    assert whole.drift == (0 if by is Grouping.MODEL else 5)


def test_only_some_days():
    assert [c.key for c in costs(two_days(), PRICES, Grouping.DAY, first=NEW)] == [NEW]
    assert [c.key for c in costs(two_days(), PRICES, Grouping.RUN, first=OLD, last=OLD)] == [f"{OLD}/a/1"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([OLD, NEW]),
            st.sampled_from("abc"),
            st.sampled_from(["opus", "haiku"]),
            st.integers(0, 10**15),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_however_it_is_cut_the_sum_is_the_same(spends):
    state = State([make_day(OLD), make_day(NEW)])
    for number, (day, name, model, cost, settled) in enumerate(spends, 1):
        state.put(make_task_row(name, day=day, module=name))
        how = "settled" if settled else "unsettled"
        state.put(make_run(f"{day}/{name}/{number}", **{how: {model: spend(1, cost)}}))
    wholes = [total(costs(state, PRICES, by)) for by in Grouping]
    assert {whole.cost for whole in wholes} == {sum(s[3] for s in spends)}
    assert {whole.estimated for whole in wholes} == {sum(s[3] for s in spends if not s[4])}
    assert {whole.usage.input for whole in wholes} == {len(spends)}


class TestView:
    LIMITS = Limits(daily=50 * NANO)

    def show(self, **query):
        return views.costs(two_days(), PRICES, self.LIMITS, msgspec.convert(query, api.CostQuery))

    def test_every_day_with_its_limit(self):
        found = self.show()
        assert [(line.key, line.limit_usd) for line in found.lines] == [(OLD, 10.0), (NEW, 50.0)]
        assert (found.first, found.last, found.prices_of, found.next_offset) == (OLD, NEW, "2026-11-20", None)
        assert found.total.usd == pytest.approx(840e-9)

    def test_anything_else_is_of_the_newest_day_unless_told(self):
        assert [line.key for line in self.show(by="task").lines] == [f"{NEW}/a", f"{NEW}/b"]
        assert [line.key for line in self.show(by="task", since=OLD).lines] == [f"{OLD}/a", f"{NEW}/a", f"{NEW}/b"]
        assert [line.key for line in self.show(by="model", day=OLD).lines] == ["opus"]
        assert self.show(by="model").total.drift_usd == pytest.approx(0.0)
        assert self.show(by="model").lines[0].drift_usd is None

    def test_pages(self, monkeypatch):
        monkeypatch.setattr(views, "SUMS", 2)
        first = self.show(by="run", since=OLD)
        second = self.show(by="run", since=OLD, offset=first.next_offset)
        assert (first.next_offset, second.next_offset) == (2, None)
        assert [line.key for line in first.lines + second.lines] == [
            f"{OLD}/a/1",
            f"{NEW}/a/1",
            f"{NEW}/a/2",
            f"{NEW}/b/1",
        ]
        assert first.total == second.total

    def test_nothing_was_submitted(self):
        found = views.costs(State(), PRICES, self.LIMITS, api.CostQuery())
        assert (found.first, found.last, found.lines) == (None, None, [])
