"""
I3: what a run cost is what its output says, and what was settled beside it.
"""

from __future__ import annotations

import msgspec

from orchestrd.audit.finding import Notes
from orchestrd.audit.hearing import SALVAGED, Hearing, followed_to_end
from orchestrd.audit.picture import Picture
from orchestrd.domain import events as ev
from orchestrd.domain.model import Usage, usd
from orchestrd.domain.rows import RunRow, Spend


class Account(msgspec.Struct, kw_only=True):
    """
    What a run cost by model, as `RunRow` has it.
    """

    settled: dict[str, Spend] = {}
    unsettled: dict[str, Spend] = {}
    drift: int = 0

    def take(self, fact: ev.AnyEvent) -> None:
        """
        One more fact.
        """
        if isinstance(fact, ev.SpendSeen):
            self._add(self.unsettled, fact.model, fact.usage, fact.cost)
        elif isinstance(fact, ev.SpendTold):
            self.unsettled = {s.model: Spend(usage=s.usage, cost=s.cost) for s in fact.spends}
        elif isinstance(fact, ev.SpendSettled):
            for spend in fact.spends:
                self._add(self.settled, spend.model, spend.usage, spend.cost)
            self.drift += sum(spend.cost for spend in fact.spends) - fact.estimated
            self.unsettled = {}

    @staticmethod
    def _add(spends: dict[str, Spend], model: str, usage: Usage, cost: int) -> None:
        spends[model] = spends.get(model, Spend()).plus(usage, cost)

    def used(self) -> dict[str, Usage]:
        """
        What was used since the last result, by model.
        """
        return {model: spend.usage for model, spend in self.unsettled.items() if spend.usage != Usage()}

    def cost(self) -> int:
        """
        Nano-USD, settled and not.
        """
        return sum(spend.cost for spend in (*self.settled.values(), *self.unsettled.values()))


def _beside(picture: Picture, run: RunRow) -> list[ev.SpendSettled]:
    """
    What was settled of the run beside its output.
    """
    events = (record.event for record in picture.facts.get(run.key, []))
    return [fact for fact in events if isinstance(fact, ev.SpendSettled) and fact.source != "result"]


def check_money(picture: Picture, run: RunRow, hearing: Hearing, recorded: list[ev.AnyEvent], notes: Notes) -> None:
    """
    The row's money is that of the output, with what was settled from the CLI's own transcripts.
    """
    notes.count("runs")
    account = Account()
    # Of a run that has ended all of it counts, wherever the cursor stands; of an open one, what is recorded.
    whole = followed_to_end(run) or len(recorded) > len(hearing.facts)
    heard = [*hearing.facts, *(hearing.later if whole else ()), *hearing.tail]
    for fact in heard:
        account.take(fact)
    for fact in _beside(picture, run):
        account.take(fact)
    notes.count("nano-USD", run.cost)
    seen = [(f.message, f.usage, f.cost) for f in recorded if isinstance(f, ev.SpendSeen)]
    read = [(f.message, f.usage, f.cost) for f in heard if isinstance(f, ev.SpendSeen)]
    same = [entry[:2] for entry in seen] == [entry[:2] for entry in read]
    wrong = sum(a[2] != b[2] for a, b in zip(seen, read, strict=True)) if same else 0
    if (run.settled, run.unsettled, run.drift) == (account.settled, account.unsettled, account.drift) and not wrong:
        return
    off = run.cost - account.cost()
    if run.settled == account.settled and picture.repriced(run):
        detail = f"its readings were priced otherwise than by the prices of now (${usd(abs(off)):.9f} apart)"
        notes.warning(run.key, detail, hint="The prices were changed since; what the CLI settled is not touched by it.")
        return
    if picture.losses and not _beside(picture, run):
        # What was settled from a transcript is told by its fact alone.
        notes.warning(run.key, f"${usd(abs(off)):.9f} of its money is told by no fact any more", hint=SALVAGED)
        return
    parts = [
        *(["settled"] if run.settled != account.settled else []),
        *(["unsettled"] if run.unsettled != account.unsettled else []),
        *(["drift"] if run.drift != account.drift else []),
        *([f"{wrong} readings"] if wrong else []),
    ]
    detail = f"its row says {run.cost} nano-USD, its output {account.cost()}: off by {off} ({', '.join(parts)})"
    notes.problem(run.key, detail, hint="The output is right; see I2 and I5 for what was changed.")
