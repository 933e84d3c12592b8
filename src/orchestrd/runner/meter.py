"""
What one process spends, as its stream tells: readings of each response, the CLI's accounts while it works, and the account
that every result brings.

Facts (Claude Code 2.1.330): lines of one response share its id; input and cache figures are right from the first of them, the
output's only in the last of the main conversation.  ``get_usage`` covers every response that has come to its end, subagents'
and the CLI's own too; its totals, and a result's, carry over a resume when the process before had time to save them.  A tool
call may ask for leave before its response has come to its end.

A reading of a model that our list does not have costs nothing until an account tells its price: where the CLI can be asked, a
call waits for that (`Meter.uncertain`).  What an account says is then the price of the readings after it, also where our list
says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import NANO, Usage, nano_usd
from orchestrd.domain.rows import Spend
from orchestrd.protocol import messages as m
from orchestrd.runner.conversations import Conversations
from orchestrd.runner.coverage import Reading, covers, doubtful, held, kept_longer, minus, names, risen, sum_of, widest
from orchestrd.runner.tariff import ROUNDING, SEARCH, Tariff
from orchestrd.runner.unmetered import Unmetered

ACCOUNT = "usage-"
"""How ids of our requests for an account begin."""
BEFORE = f"{ACCOUNT}0"
"""The one that comes before the first message: what a session that is taken up has paid for already."""


class Meter:
    """
    The money of one run's process.
    """

    def __init__(self, run: str, prices: PriceTable) -> None:
        self._run = run
        self._tariff = Tariff(prices)
        self.open: dict[str, Reading] = {}
        """Message id to its reading, of responses that no result has covered, oldest first."""
        self.settled: set[str] = set()
        """Message ids that a result has covered."""
        self.presumed: set[str] = set()
        """Those of them whose end no stream told."""
        self.told: dict[str, Spend] = {}
        """Model to what the CLI's last account says was spent since the last result; at least what it must hold."""
        self.held: set[str] = set()
        """Message ids of open readings that are in *told*."""
        self.names: dict[str, str] = {}
        """Model as readings name it to its name in *told*, where that is another one."""
        self.live: dict[str, Spend] = {}
        """Model to what was spent since the last result, as it is recorded: what was told, and readings that are not in it."""
        self.conversations = Conversations()
        self.unmetered = Unmetered()
        self._totals: dict[str, m.ModelCost] | None = None
        """What the session had spent at the last result, or before this process did anything; None when nobody told."""
        self._blind = False
        """True while the CLI cannot tell what it has spent."""
        self._cut: set[str] = set()
        """Message ids of subagents' responses that may have come to their end after the last result."""

    def answered(self, message_id: str) -> None:
        """
        A response has said something.
        """
        self.unmetered.answered(message_id, self.open.get(message_id), settled=message_id in self.settled)

    def read(self, message: m.MessageUsage) -> Iterator[ev.AnyEvent]:
        """
        One more reading of a response: record what it adds to the last one.
        """
        name = message.message_id
        self.unmetered.read(message, settled=name in self.settled)
        known = self.open.get(name)
        if name in self.settled or (known is not None and known.final and not message.final):
            return
        if known is not None and message.final and not known.final and name in self.held:
            # It ends now: what the account had room for was something else.
            self.held.discard(name)
            known = None
        cost = self._price(message.model, message.usage)
        self.open[name] = Reading(
            model=message.model, usage=message.usage, cost=cost, final=message.final, subagent=message.subagent
        )
        self.conversations.read(message.subagent, name, cost, ended=message.final)
        more = message.usage if known is None else minus(message.usage, known.usage)
        extra = cost if known is None else cost - known.cost
        if more != Usage() or extra:
            yield self._seen(name, message.model, more, extra)

    def _seen(self, name: str, model: str, more: Usage, extra: int) -> ev.SpendSeen:
        self.live[model] = self.live.get(model, Spend()).plus(more, extra)
        next_cost = self.conversations.next
        return ev.SpendSeen(run=self._run, message=name, model=model, usage=more, cost=extra, to_come=next_cost)

    def _price(self, model: str, usage: Usage) -> int:
        """
        Nano-USD of *usage*, as far as that is known.
        """
        return 0 if self._awaits(model) else self._tariff.cost(model, usage)

    def _awaits(self, model: str) -> bool:
        """
        True of a model whose price nobody told yet, and the CLI may.
        """
        return self._totals is not None and not self._blind and self._tariff.lacks(model)

    def uncertain(self, message_id: str, *, subagent: bool) -> bool:
        """
        True while nobody has told what a response cost that has called a tool, and an account will: a subagent's, whose end
        no stream tells, and one of a model whose price is not known.
        """
        reading = self.open.get(message_id)
        if reading is None:
            return message_id in self._cut
        if message_id in self.held:
            return False
        return self._awaits(reading.model) or (subagent and not reading.final)

    def knows(self, message_id: str) -> bool:
        """
        True of a response of which something was read before.
        """
        return message_id in self.open or message_id in self.settled

    def unended(self, message_id: str) -> bool:
        """
        True while a response is being read.
        """
        reading = self.open.get(message_id)
        return reading is not None and not reading.final

    def account(self, reply: m.ControlReply) -> Iterator[ev.AnyEvent]:
        """
        The CLI's own account of what the session has spent: it stands in the place of our readings, which see neither the end
        of a subagent's response nor requests that the CLI makes for itself.  Those of responses that it cannot hold yet are
        added to it.
        """
        totals = m.read_account(reply.response)
        self._blind = totals is None
        if totals is None:
            yield from self._price_unheard()
            return
        if reply.request_id == BEFORE:
            if self._totals is None:
                self._totals = totals
            return
        if self._totals is None:
            return
        accounted = self._accounted(totals, self._totals)
        self.unmetered.explained(self.open, (spend.usage for spend in accounted))
        self._learn(accounted, totals, self._totals)
        self._cut.clear()
        before, had = sum(spend.cost for spend in self.told.values()), self.held
        self.told = {spend.model: Spend(usage=spend.usage, cost=spend.cost) for spend in accounted}
        live = self._on_top()
        self._attribute(sum(spend.cost for spend in accounted) - before, self.held - had)
        if live == {model: spend for model, spend in self.live.items() if spend != Spend()}:
            return
        self.live = live
        yield self._tell()

    def _price_unheard(self) -> Iterator[ev.AnyEvent]:
        """
        The CLI cannot tell: what waited for a price is counted at the dearest.
        """
        for name, reading in self.open.items():
            cost = self._price(reading.model, reading.usage)
            if name not in self.held and cost != reading.cost:
                self.open[name] = msgspec.structs.replace(reading, cost=cost)
                yield self._seen(name, reading.model, Usage(), cost - reading.cost)

    def _learn(
        self, accounted: tuple[ev.ModelSpend, ...], totals: dict[str, m.ModelCost], before: dict[str, m.ModelCost]
    ) -> None:
        """
        Price the readings to come, and those that no account holds, as the CLI has *accounted* for the same model where our list
        has no price for it, or another one.
        """
        for spend in accounted:
            told = spend.cost - self._searched(spend.model, totals, before)
            for model in (spend.model, *(ours for ours, its in self.names.items() if its == spend.model)):
                self._tariff.learn(model, spend.usage, told)
        for name, reading in self.open.items():
            self.open[name] = msgspec.structs.replace(reading, cost=self._price(reading.model, reading.usage))

    @staticmethod
    def _searched(model: str, totals: dict[str, m.ModelCost], before: dict[str, m.ModelCost]) -> int:
        """
        Nano-USD of the web searches in what *totals* add to *before*.
        """
        counts = [told[model].searches if model in told else 0 for told in (totals, before)]
        return max(0, counts[0] - counts[1]) * SEARCH

    def _attribute(self, risen_by: int, news: set[str]) -> None:
        """
        An account that has *risen by* so many nano-USD holds *news* for the first time: what is more than their readings is of
        those whose end no stream told.
        """
        known = sum(self.open[name].cost for name in news)
        ended = [name for name in news if not self.open[name].final]
        for name in news:
            more = max(0, risen_by - known) // len(ended) if name in ended else 0
            self.conversations.told(name, self.open[name].cost + more)

    def _on_top(self) -> dict[str, Spend]:
        """
        What was told, with the readings that are not in it; and which are.
        """
        live = dict(self.told)
        self.held = self._held({model: spend.usage for model, spend in self.told.items()})
        for name, reading in self.open.items():
            if name not in self.held and reading.usage != Usage():
                live[reading.model] = live.get(reading.model, Spend()).plus(reading.usage, reading.cost)
        return live

    def _held(self, told: Mapping[str, Usage]) -> set[str]:
        """
        Message ids of the open readings that are in what was *told* by model.
        """
        unsure, found = doubtful(self.open), set[str]()
        for model, usage in told.items():
            ended = {name: r.usage for name, r in self._read_of(model).items() if r.final}
            maybe = {name: usage for name, usage in unsure.items() if name in self._read_of(model)}
            found |= ended.keys() | held(usage, sum_of(ended.values()), maybe)
        return found

    def _read_of(self, model: str) -> dict[str, Reading]:
        """
        The open readings of what an account calls *model*.
        """
        return {name: r for name, r in self.open.items() if self.names.get(r.model, r.model) == model}

    def settle(self, result: m.Result) -> Iterator[ev.AnyEvent]:
        """
        Replace everything since the last result by the account that this one brings; where it brings none, settle what was
        read.  A response that a subagent is being given goes on beyond the end of the main conversation's turn, and stays open.

        A CLI without ``model_usage_since_last_result`` (2.1.197) counts each process from zero, so its totals are compared
        with the last ones of this process; and it leaves out the response in which it was interrupted.
        """
        told = result.models_total if result.models_since is None else result.models_since
        before = self._totals or {} if result.models_since is None else {}
        # One that says that nothing came to its end is right where we read of no end.
        ended = any(reading.final and reading.usage.prompt for reading in self.open.values())
        later = self._later(self._accounted(told, before))
        broken = self._broken_off() if result.models_since is None and result.is_error and told else {}
        self.open = {name: reading for name, reading in self.open.items() if name not in later and name not in broken}
        spends = self._accounted(told, before, last=True, unsaid=not told and (result.models_since is None or ended))
        self._totals = self._totals_after(result, spends)
        self.unmetered.explained(self.open, (spend.usage for spend in spends))
        estimated = self.estimated({spend.model: spend.usage for spend in spends})
        self.open |= broken
        self._cut = {name for name, reading in self.open.items() if reading.subagent is not None and not reading.final}
        self.presumed |= {name for name, reading in self.open.items() if not reading.final}
        self.settled |= self.open.keys()
        self.open = later
        self.unmetered.settled(later)
        self._learn(spends, told, before)
        self.told = {}
        self.live = self._on_top()
        spends += tuple(ev.ModelSpend(model=r.model, usage=r.usage, cost=r.cost) for r in broken.values())
        estimated += sum(reading.cost for reading in broken.values())
        if spends or estimated:
            yield ev.SpendSettled(run=self._run, source="result", spends=spends, estimated=estimated)
        if self.live:
            yield self._tell()

    def _later(self, spends: tuple[ev.ModelSpend, ...]) -> dict[str, Reading]:
        """
        The readings of responses that come to their end after a result which accounts for *spends*: it has no room for what was
        read of them, and their subagents have not gone on.
        """
        within = self._held({spend.model: spend.usage for spend in spends})
        newest = {reading.subagent: name for name, reading in self.open.items() if reading.subagent is not None}
        return {name: self.open[name] for name in newest.values() if name not in within and not self.open[name].final}

    def recounted(self, recorded: Mapping[str, Spend]) -> Iterator[ev.AnyEvent]:
        """
        What was *recorded*, by model, of what was spent since the last result is told anew where it was counted at other prices.
        """
        if {model: spend for model, spend in self.live.items() if spend != Spend()} != {
            model: spend for model, spend in recorded.items() if spend != Spend()
        }:
            yield self._tell()

    def _broken_off(self) -> dict[str, Reading]:
        """
        The reading of the main conversation's newest response, while that has not come to its end.
        """
        main = [name for name, reading in self.open.items() if reading.subagent is None]
        return {name: self.open[name] for name in main[-1:] if not self.open[name].final}

    def _tell(self) -> ev.SpendTold:
        """
        What was spent since the last result, as it is known now.
        """
        spends = tuple(
            ev.ModelSpend(model=model, usage=spend.usage, cost=spend.cost) for model, spend in self.live.items()
        )
        return ev.SpendTold(run=self._run, spends=spends, to_come=self.conversations.next)

    def estimated(self, told: Mapping[str, Usage]) -> int:
        """
        Nano-USD, by our own prices, of all that was read since the last result.  The stream does not tell the end of a subagent's
        responses: for their output stands in what was *told* of the model.
        """
        found = 0
        for model in dict.fromkeys(self.names.get(reading.model, reading.model) for reading in self.open.values()):
            read = self._read_of(model).values()
            usage = sum_of(reading.usage for reading in read)
            found += sum(self._tariff.listed(reading.model, reading.usage) for reading in read)
            if model in told and any(reading.subagent is not None and not reading.final for reading in read):
                unread = max(0, told[model].output - usage.output)
                found += self._tariff.listed(model, Usage(output=unread))
        return found

    def _totals_after(self, result: m.Result, spends: tuple[ev.ModelSpend, ...]) -> dict[str, m.ModelCost]:
        """
        What the session has spent at *result*: as it says, or, where that is less than we know, as we know.
        """
        totals = dict(self._totals or {})
        for spend in spends:
            more = m.ModelCost(usage=spend.usage, cost_usd=spend.cost / NANO, listed=True)
            totals[spend.model] = totals[spend.model].plus(more) if spend.model in totals else more
        for model, total in result.models_total.items():
            if model not in totals or covers(total.usage, totals[model].usage):
                totals[model] = total
        return totals

    def _accounted(
        self,
        totals: dict[str, m.ModelCost],
        before: dict[str, m.ModelCost],
        *,
        last: bool = False,
        unsaid: bool = False,
    ) -> tuple[ev.ModelSpend, ...]:
        """
        What *totals* add to *before* by model, and never less than what was read to its end: of a model of which they hold
        less, or tell no cost, our list counts.  *last*: nothing will tell of what else was read any more; *unsaid*: it is all
        that is known.
        """
        found = []
        ended = {reading.model: Usage() for reading in self.open.values()}
        for reading in self.open.values():
            ended[reading.model] += reading.usage if reading.final else Usage()
        told = {
            model: risen(t.usage, before[model].usage) if model in before else t.usage for model, t in totals.items()
        }
        self.names = names(told, ended)
        for model in dict.fromkeys((*totals, *(self.names.get(model, model) for model in ended))):
            read = self._read_of(model).values()
            least = sum_of(reading.usage for reading in read if reading.final)
            usage, cost, searches = self._since(model, totals.get(model), before.get(model))
            if cost is None or not covers(usage, least):
                if model not in totals and not unsaid and least == Usage():
                    continue
                usage = widest(usage, sum_of(reading.usage for reading in read) if last else least)
                cost = max(cost or 0, self._tariff.listed(model, usage) + searches * SEARCH)
            if cost or usage != Usage():
                found.append(ev.ModelSpend(model=model, usage=usage, cost=cost))
        return tuple(found)

    def _since(
        self, model: str, total: m.ModelCost | None, before: m.ModelCost | None
    ) -> tuple[Usage, int | None, int]:
        """
        What *total* adds to *before*: tokens, nano-USD, which are None when they cannot be told, and web searches.
        """
        if total is None:
            return Usage(), None, 0
        usage, searches = total.usage, total.searches
        cost = None if total.cost_usd is None else nano_usd(total.cost_usd)
        if before is not None:
            usage, searches = risen(usage, before.usage), max(0, searches - before.searches)
            cost = None if cost is None or before.cost_usd is None else cost - nano_usd(before.cost_usd)
        if cost is not None and cost < 0:
            cost = 0 if cost >= -ROUNDING else None
        if cost == 0 and not self._tariff.lacks(model) and self._tariff.listed(model, usage) > ROUNDING:
            cost = None  # No model of our list costs nothing.
        if not usage.cache_write_1h:
            # A CLI that does not tell how long what it wrote is kept (2.1.197): its responses do.
            told = sum(r.usage.cache_write_1h for r in self._read_of(model).values())
            usage = kept_longer(usage, min(told, usage.cache_write_5m))
        if cost is not None and not total.listed:
            cost = self._tariff.reckoned(model, usage, cost - searches * SEARCH) + searches * SEARCH
        return usage, cost, searches
