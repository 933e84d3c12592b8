"""
What was spent, by day, task, run, model or module: the rows of all runs, summed.

Each run is one process, and its row holds what the facts about its money add up to: the ledger is the journal itself.  A day
is the date of the task file, whenever the money was spent.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import Grouping, Usage
from orchestrd.domain.rows import RunRow, Spend
from orchestrd.domain.state import State


class Cost(msgspec.Struct, kw_only=True):
    """
    A sum.  *cost* in nano-USD; *estimated* is the part of it that is our own reading, which the agent CLI has not accounted
    for yet; *drift* by how much its accounts exceeded our readings; *runs* and *unpriced* name the runs that are in it, and
    the models in it that have no price of their own and are counted at the dearest one.
    """

    key: str
    usage: Usage = Usage()
    cost: int = 0
    estimated: int = 0
    drift: int = 0
    runs: set[str] = msgspec.field(default_factory=set)
    unpriced: set[str] = msgspec.field(default_factory=set)


def costs(state: State, prices: PriceTable, by: Grouping, *, first: str = "", last: str = "9999-12-31") -> list[Cost]:
    """
    What was spent on the days from *first* to *last*, both included: days, tasks and runs in their order, models and modules
    the dearest first; tasks of no module are under the empty name.  Who spent nothing is not in it.
    """
    found: dict[str, Cost] = {}
    for task in state.tasks():
        if not first <= task.spec.day <= last:
            continue
        for run in state.runs(task=task.key):
            for model, spend, estimated in _spends(run):
                key = {
                    Grouping.DAY: task.spec.day,
                    Grouping.TASK: task.key,
                    Grouping.RUN: run.key,
                    Grouping.MODEL: model,
                    Grouping.MODULE: task.spec.module or "",
                }[by]
                cost = found.setdefault(key, Cost(key=key))
                if by is not Grouping.MODEL and run.key not in cost.runs:
                    # An account is of a whole run: what each model has to do with it nobody says.
                    cost.drift += run.drift
                cost.usage += spend.usage
                cost.cost += spend.cost
                cost.estimated += spend.cost if estimated else 0
                cost.runs.add(run.key)
                if prices.find(model) is None:
                    cost.unpriced.add(model)
    sums = list(found.values())
    if by in (Grouping.MODEL, Grouping.MODULE):
        sums.sort(key=lambda cost: (-cost.cost, cost.key))
    return sums


def total(sums: list[Cost]) -> Cost:
    """
    All of *sums* in one.
    """
    whole = Cost(key="")
    for one in sums:
        whole.usage += one.usage
        whole.cost += one.cost
        whole.estimated += one.estimated
        whole.drift += one.drift
        whole.runs |= one.runs
        whole.unpriced |= one.unpriced
    return whole


def _spends(run: RunRow) -> Iterator[tuple[str, Spend, bool]]:
    """
    ``(model, spend, whether it is our own reading)`` of one run.
    """
    for model, spend in run.settled.items():
        yield model, spend, False
    for model, spend in run.unsettled.items():
        yield model, spend, True
