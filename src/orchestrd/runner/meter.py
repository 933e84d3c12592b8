"""
What one process spends, as its stream tells: readings of each response, the CLI's accounts while it works, and the account
that every result brings.

Facts (Claude Code 2.1.330): lines of one response share its id; input and cache figures are right from the first of them, the
output's only in the last of the main conversation.  ``get_usage`` covers every response that has come to its end, subagents'
and the CLI's own too; its totals, and a result's, carry over a resume when the process before had time to save them.  What
the CLI says of the cost counts where it knows the model's price, which it tells (``costBasis``); 2.1.197 does not, and its
guess for a model that is newer than itself is off by half.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import Usage, nano_usd
from orchestrd.domain.rows import Spend
from orchestrd.protocol import messages as m

ACCOUNT = "usage-"
"""How ids of our requests for an account begin."""
BEFORE = f"{ACCOUNT}0"
"""The one that comes before the first message: what a session that is taken up has paid for already."""
SEARCH = 10_000_000
"""Nano-USD of a web search: 10 USD a thousand (list price, 2026)."""
MUTE = 16
"""How many mute responses are remembered: one is too many."""
ROUNDING = 1000
"""Nano-USD by which a sum of dollars in floating point may be off."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of one API response that no result covers yet.
    """

    model: str
    usage: Usage
    cost: int
    final: bool


class Meter:
    """
    The money of one run's process.
    """

    def __init__(self, run: str, prices: PriceTable) -> None:
        self._run = run
        self._prices = prices
        self.open: dict[str, Reading] = {}
        """Message id to its reading, of responses that no result has covered."""
        self.settled: set[str] = set()
        """Message ids that a result has covered."""
        self.live: dict[str, Spend] = {}
        """Model to what was spent since the last result, as it is recorded."""
        self.estimated = 0
        """The same in nano-USD by our own prices."""
        self.mute: set[str] = set()
        """Ids of responses that said something and not what they used, while no account knows more than was read."""
        self._totals: dict[str, m.ModelCost] | None = None
        """What the session had spent at the last result, or before this process did anything; None when nobody told."""

    def answered(self, message_id: str) -> None:
        """
        A response has said something.
        """
        reading = self.open.get(message_id)
        told = reading is not None and reading.usage.prompt
        if message_id and message_id not in self.settled and not told and len(self.mute) < MUTE:
            self.mute.add(message_id)

    def _explain(self, spends: tuple[ev.ModelSpend, ...]) -> None:
        """
        The CLI accounts for *spends* since the last result.
        """
        if sum(spend.usage.prompt for spend in spends) > sum(reading.usage.prompt for reading in self.open.values()):
            self.mute.clear()

    def read(self, message: m.MessageUsage) -> Iterator[ev.AnyEvent]:
        """
        One more reading of a response: record what it adds to the last one.
        """
        if message.usage.prompt:
            self.mute.discard(message.message_id)
        known = self.open.get(message.message_id)
        if message.message_id in self.settled or (known is not None and known.final and not message.final):
            return
        cost = self._prices.cost(message.model, message.usage)
        self.open[message.message_id] = Reading(
            model=message.model, usage=message.usage, cost=cost, final=message.final
        )
        more = message.usage if known is None else minus(message.usage, known.usage)
        extra = cost if known is None else cost - known.cost
        if more != Usage() or extra:
            self.live[message.model] = self.live.get(message.model, Spend()).plus(more, extra)
            self.estimated += extra
            yield ev.SpendSeen(run=self._run, message=message.message_id, model=message.model, usage=more, cost=extra)

    def account(self, reply: m.ControlReply) -> Iterator[ev.AnyEvent]:
        """
        The CLI's own account of what the session has spent: it stands in the place of our readings, which see neither the end
        of a subagent's response nor requests that the CLI makes for itself.
        """
        totals = m.read_account(reply.response)
        if totals is None:
            return
        if reply.request_id == BEFORE:
            if self._totals is None:
                self._totals = totals
            return
        if self._totals is None:
            return
        spends = _told(self._since(model, cost, self._totals.get(model)) for model, cost in totals.items())
        self._explain(spends)
        live = {spend.model: Spend(usage=spend.usage, cost=spend.cost) for spend in spends}
        if live == {model: spend for model, spend in self.live.items() if spend != Spend()}:
            return
        self.live = live
        self.estimated = sum(self._prices.cost(spend.model, spend.usage) for spend in spends)
        yield ev.SpendTold(run=self._run, spends=spends)

    def settle(self, result: m.Result) -> Iterator[ev.AnyEvent]:
        """
        Replace everything since the last result by the account that this one brings.

        A CLI without ``model_usage_since_last_result`` (2.1.197) counts each process from zero, so its totals are compared
        with the last ones of this process.
        """
        if result.models_since is not None:
            spent = [self._since(model, cost, None) for model, cost in result.models_since.items()]
        else:
            before = self._totals or {}
            spent = [self._since(model, cost, before.get(model)) for model, cost in result.models_total.items()]
        self._totals = dict(result.models_total)
        spends = _told(spent)
        self._explain(spends)
        estimated, self.estimated = self.estimated, 0
        self.settled |= self.open.keys()
        self.open.clear()
        self.live = {}
        if spends or estimated:
            yield ev.SpendSettled(run=self._run, source="result", spends=spends, estimated=estimated)

    def _since(self, model: str, total: m.ModelCost, before: m.ModelCost | None) -> ev.ModelSpend:
        """
        What *total* adds to *before*.
        """
        usage, cost, searches = total.usage, nano_usd(total.cost_usd), total.searches
        if before is not None:
            usage, cost = minus(usage, before.usage), cost - nano_usd(before.cost_usd)
            searches -= before.searches
        if not usage.cache_write_1h:
            # A CLI that does not tell how long what it wrote is kept (2.1.197): its responses do.
            told = sum(r.usage.cache_write_1h for r in self.open.values() if r.model == model)
            usage = _kept_longer(usage, min(told, usage.cache_write_5m))
        if not total.listed:
            cost = self._reckoned(model, usage, cost - searches * SEARCH) + searches * SEARCH
        return ev.ModelSpend(model=model, usage=usage, cost=cost)

    def _reckoned(self, model: str, usage: Usage, told: int) -> int:
        """
        Nano-USD of *usage* where the CLI, which *told* a cost, may not know the price: what it told counts when our list
        allows it, however long what was written is kept, and where our list has no price either, when it is more than that of
        our dearest model.
        """
        if self._prices.find(model) is None:
            return max(told, self._prices.cost(model, usage))
        least, most = (
            self._prices.cost(model, _kept_longer(usage, more))
            for more in (-usage.cache_write_1h, usage.cache_write_5m)
        )
        return told if least - ROUNDING <= told <= most + ROUNDING else self._prices.cost(model, usage)


def minus(a: Usage, b: Usage) -> Usage:
    """
    *a* without *b*, field by field.
    """
    return Usage(**{name: getattr(a, name) - getattr(b, name) for name in a.__struct_fields__})


def _kept_longer(usage: Usage, tokens: int) -> Usage:
    """
    *usage* with so many cache writes more that are kept for an hour, and as many fewer that are kept for five minutes.
    """
    return msgspec.structs.replace(
        usage, cache_write_5m=usage.cache_write_5m - tokens, cache_write_1h=usage.cache_write_1h + tokens
    )


def _told(spends: Iterator[ev.ModelSpend] | list[ev.ModelSpend]) -> tuple[ev.ModelSpend, ...]:
    """
    Those of *spends* that are not nothing.
    """
    return tuple(spend for spend in spends if spend.cost or spend.usage != Usage())
