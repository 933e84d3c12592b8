"""
What a model's tokens cost: by our list, and as an account of the CLI told where the list has no price, or another one.

What the CLI says of the cost counts where it knows the model's price, which it tells (``costBasis``, Claude Code 2.1.330);
2.1.197 does not, and its guess for a model that is newer than itself is off by half.
"""

from __future__ import annotations

from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import Usage
from orchestrd.runner.coverage import kept_longer

SEARCH = 10_000_000
"""Nano-USD of a web search: 10 USD a thousand (list price, 2026)."""
ROUNDING = 1000
"""Nano-USD by which a sum of dollars in floating point may be off."""


class Tariff:
    """
    The prices that hold for one process.
    """

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._rates: dict[str, tuple[int, int]] = {}
        """Model whose price is not our list's to what an account told of it: nano-USD, and those by our list."""

    def listed(self, model: str, usage: Usage) -> int:
        """
        Nano-USD of *usage* by our list; of a model that it does not have, at the dearest price it has.
        """
        return self._prices.cost(model, usage)

    def cost(self, model: str, usage: Usage) -> int:
        """
        Nano-USD of *usage*, as an account has told of the model or else by our list.
        """
        ours = self.listed(model, usage)
        if model not in self._rates:
            return ours
        told, listed = self._rates[model]
        return ours * told // listed

    def lacks(self, model: str) -> bool:
        """
        True of a model whose price nobody has told.
        """
        return model not in self._rates and self._prices.find(model) is None

    def learn(self, model: str, usage: Usage, told: int) -> None:
        """
        *usage* was accounted for with as many nano-USD: the price to come, where our list has none, or another one.
        """
        if self._prices.find(model) is not None and self._allows(model, usage, told):
            self._rates.pop(model, None)
        elif listed := self.listed(model, usage):
            self._rates[model] = (told, listed)

    def reckoned(self, model: str, usage: Usage, told: int) -> int:
        """
        Nano-USD of *usage* where the CLI, which *told* a cost, may not know the price: what it told counts when our list
        allows it, however long what was written is kept, and where our list has no price either, when it is more than that of
        our dearest model.
        """
        if self._prices.find(model) is None:
            return max(told, self.listed(model, usage))
        return told if self._allows(model, usage, told) else self.listed(model, usage)

    def _allows(self, model: str, usage: Usage, told: int) -> bool:
        """
        True when *usage* may cost what was *told* by our list, however long what was written is kept.
        """
        least, most = (
            self.listed(model, kept_longer(usage, more)) for more in (-usage.cache_write_1h, usage.cache_write_5m)
        )
        return least - ROUNDING <= told <= most + ROUNDING
