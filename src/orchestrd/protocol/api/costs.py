"""
What was spent.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Grouping
from orchestrd.protocol.api.base import Count, Params, Tokens


class CostQuery(Params, kw_only=True):
    """
    What is summed *by*, on *day* only or from *since* on; without either every day when by day, else the newest.  *offset* is
    how many sums are known already.
    """

    by: Grouping = Grouping.DAY
    day: str | None = None
    since: str | None = None
    offset: Count = 0


class CostLine(msgspec.Struct, kw_only=True):
    """
    A sum of money and tokens over a number of *runs*.  *estimated_usd* is the part that no account of the agent CLI covers yet;
    *drift_usd* by how much its accounts exceeded our own readings, None by model; *unpriced* names models that have no price
    and are counted at the dearest one; *limit_usd* is a day's.
    """

    key: str
    usd: float = 0.0
    estimated_usd: float = 0.0
    drift_usd: float | None = None
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    runs: int = 0
    unpriced: list[str] = []
    limit_usd: float | None = None


class Costs(msgspec.Struct, kw_only=True):
    """
    The sums, and all of them in one; *first* and *last* day they are of, None when nothing was submitted.
    """

    by: str
    first: str | None
    last: str | None
    lines: list[CostLine]
    total: CostLine
    prices_of: str
    """The date of the price list."""
    next_offset: int | None = None
    """Where to go on, None when these are the last sums."""
