"""
Usage to cost, and spend against limits.

Prices are nano-USD per token: USD per million tokens times 1000.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from orchestrd.domain.model import NANO, Complexity, Usage
from orchestrd.domain.rows import DayRow

_SNAPSHOT = re.compile(r"(?:[-@]\d{8})?(?:-v\d+(?::\d+)?)?(?:\[\w+\])?$", re.ASCII)
"""What follows a model's name where one snapshot of it is meant, or a longer context window."""


def undated(model: str) -> str:
    """
    The name of *model* without what says which snapshot of it is meant, or how long a context window.
    """
    return _SNAPSHOT.sub("", model)


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One model's list price, USD per million tokens.
    """

    input: float
    output: float
    cache_write_5m: float
    cache_write_1h: float
    cache_read: float

    def cost(self, usage: Usage) -> int:
        """
        Nano-USD of *usage*.
        """
        # Each price becomes whole nano-USD a token first, so that sums of messages equal the message of sums.
        return (
            usage.input * round(self.input * 1000)
            + usage.output * round(self.output * 1000)
            + usage.cache_write_5m * round(self.cache_write_5m * 1000)
            + usage.cache_write_1h * round(self.cache_write_1h * 1000)
            + usage.cache_read * round(self.cache_read * 1000)
        )


class PriceTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Prices by model as of *date*.
    """

    date: str
    models: dict[str, Price]

    @classmethod
    def of(cls, date: str, models: Mapping[str, Mapping[str, float]]) -> PriceTable:
        """
        The table of *models* as the settings have it: model to USD per million tokens by kind.

        Raises `msgspec.ValidationError` for a table of the wrong shape.
        """
        return cls(date=date, models={name: msgspec.convert(row, Price) for name, row in models.items()})

    def find(self, model: str) -> Price | None:
        """
        The price of *model*: its own, or that of a listed name of which it is a snapshot or a variant (``claude-x-4`` covers
        ``claude-x-4-20260101`` and ``claude-x-4[1m]``, but not ``claude-x-4-5``, which is another model); None when nothing
        fits.
        """
        exact = self.models.get(model)
        return exact if exact is not None else self.models.get(undated(model))

    def cost(self, model: str, usage: Usage) -> int:
        """
        Nano-USD of *usage* at the price of *model*; of an unknown model, at the dearest known price for it.
        """
        price = self.find(model)
        if price is not None:
            return price.cost(usage)
        return max((p.cost(usage) for p in self.models.values()), default=0)


RESERVE = {Complexity.LOW: 1 * NANO, Complexity.MEDIUM: 3 * NANO, Complexity.HIGH: 8 * NANO}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    The configured limits, money in nano-USD.

    *daily* is the limit of a day that names none, *warn_at* the fraction of it that is told of, *wrap_up* the fraction that
    agents at work may keep for their summaries.  *reserve* is what a task is expected to cost at most, *slots* how many of
    them work at a time, *step* by how much a person is offered to raise a limit that is reached.  *unmetered*: agents may work
    whose model does not say what it uses, and are counted as nothing.  *unknown* is no money: so many calls of a run that nobody can
    judge halt it.
    """

    daily: int
    warn_at: float = 0.75
    wrap_up: float = 0.1
    reserve: dict[Complexity, int] = msgspec.field(default_factory=RESERVE.copy)
    slots: int = 3
    step: int = 5 * NANO
    unmetered: bool = False
    unknown: int = 3

    def of_day(self, day: DayRow | None) -> int:
        """
        The limit that holds for *day*: what its task file names, or the configured one, and what the person added.
        """
        return self.daily if day is None else self.total(day.limit, day.raised)

    def total(self, named: int | None, raised: int) -> int:
        """
        The limit of a day whose task file names *named*, with what the person *raised* it by.
        """
        return (self.daily if named is None else named) + raised

    def last_part(self, limit: int) -> int:
        """
        The nano-USD of *limit* that agents at work may keep for their summaries.
        """
        return round(limit * self.wrap_up)

    def used(self, limit: int, spent: int) -> str:
        """
        What is to be said of a *limit* at which something stops once so much is *spent*.
        """
        if spent >= limit:
            return "used up"
        # The rest is kept for summaries, or is not enough for another task, or for the next response of a dear one.
        return "all but used up" if limit - spent <= self.last_part(limit) else "not enough for what comes next"
