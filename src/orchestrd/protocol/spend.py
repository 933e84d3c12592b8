"""
What the processes behind a stream really spent, from results and responses.

Facts: ``model_usage_since_last_result`` is the spend of this process since its last result, subagents included (Claude
Code 2.1.330); 2.1.197 lacks it, and its totals restart at 0 with every process.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrd.domain.model import Usage, nano_usd
from orchestrd.protocol.messages import MessageUsage, Result


class Spend:
    """
    A running sum.  *price* (model, tokens → nano-USD) prices responses that no result has told of, and
    what one tells no cost of.
    """

    def __init__(self, price: Callable[[str, Usage], int] | None = None) -> None:
        self._price = price
        self._usage = Usage()
        self._cost = 0
        self._running = Usage()
        self._running_cost = 0
        self._untold: dict[str, MessageUsage] = {}
        self._told: set[str] = set()

    def response(self, message: MessageUsage) -> None:
        """
        The newest figures of one response.
        """
        if message.message_id not in self._told:
            self._untold[message.message_id] = message

    def result(self, result: Result) -> None:
        """
        A result settles every response before it.
        """
        self._told.update(self._untold)
        self._untold.clear()
        if result.models_since is not None:
            for model, spent in result.models_since.items():
                self._usage += spent.usage
                self._cost += (
                    nano_usd(spent.cost_usd) if spent.cost_usd is not None else self._priced(model, spent.usage)
                )
            return
        total, cost = Usage(), nano_usd(result.total_cost_usd)
        for spent in result.models_total.values():
            total += spent.usage
        if cost < self._running_cost or total.total < self._running.total:
            # A total that falls is another process's.
            self._usage += self._running
            self._cost += self._running_cost
        self._running, self._running_cost = total, cost

    def total(self) -> tuple[Usage, int, bool]:
        """
        Tokens, nano-USD, and whether the figures are an estimate.
        """
        usage, cost = self._usage + self._running, self._cost + self._running_cost
        for message in self._untold.values():
            usage += message.usage
            cost += self._priced(message.model, message.usage)
        return usage, cost, bool(self._untold)

    def _priced(self, model: str, usage: Usage) -> int:
        return self._price(model, usage) if self._price else 0
