"""
What facts about money change: readings as they come, and the accounts that replace them.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, go_on, known_run
from orchestrd.domain.rows import Row, Spend
from orchestrd.domain.state import State


def _spend_seen(state: State, e: ev.SpendSeen, at: float) -> list[Row]:
    row = known_run(state, e.run)
    models = {**row.unsettled, e.model: row.unsettled.get(e.model, Spend()).plus(e.usage, e.cost)}
    known = e.message == row.response
    newest = (row.response_cost if known else 0) + e.cost if e.to_come is None else e.to_come
    row = replace(row, unsettled=models, response=e.message, response_cost=newest)
    return [row] if known else go_on(state, row, at)


def _spend_told(state: State, e: ev.SpendTold, _: float) -> list[Row]:
    row = known_run(state, e.run)
    row = row if e.to_come is None else replace(row, response_cost=e.to_come)
    return [replace(row, unsettled={s.model: Spend(usage=s.usage, cost=s.cost) for s in e.spends})]


def _spend_settled(state: State, e: ev.SpendSettled, _: float) -> list[Row]:
    row = known_run(state, e.run)
    settled = dict(row.settled)
    for spend in e.spends:
        settled[spend.model] = settled.get(spend.model, Spend()).plus(spend.usage, spend.cost)
    drift = row.drift + sum(s.cost for s in e.spends) - e.estimated
    return [replace(row, settled=settled, unsettled={}, drift=drift)]


FOLDS: Folds = {
    ev.SpendSeen: _spend_seen,
    ev.SpendSettled: _spend_settled,
    ev.SpendTold: _spend_told,
}
