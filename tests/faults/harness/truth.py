"""
The fake agents' ledger, read: what must be in the journal, and what may be, because its agent was killed over it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

Place = tuple[str, str]
"""Run, and the name of a thing in it."""


class Response(NamedTuple):
    """
    One response of the model: *cost* in nano-USD, *first* what its beginning alone would cost, ids of its tool *calls*.
    """

    cost: int
    first: int
    calls: tuple[str, ...]
    told: bool = False


class Truth:
    """
    *rows* as `FaultWorld.truth_rows` gives them, in order.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.started: dict[str, list[int]] = defaultdict(list)
        """Run to the process ids of its agents: one, when all is well."""
        self.ended: set[str] = set()
        """Runs whose agents ended by themselves: what was said to them they have heard."""
        self.responses: dict[Place, Response] = {}
        self.asides: Counter[str] = Counter()
        """Run to nano-USD that no response of its stream tells."""
        self.returned: Counter[Place] = Counter()
        self.asked: Counter[Place] = Counter()
        """How many questions a request asks."""
        self.answers: dict[Place, dict[str, str] | None] = {}
        """What the agent got for each request; None when it was told to go on without."""
        self.contradictions: list[Place] = []
        """What was said to an agent twice, differently."""
        for row in rows:
            self._take(row, row["run"])

    def calls(self, *, told: bool) -> Counter[Place]:
        """
        Tool calls, once each; *told*: only those that were told whole.
        """
        return Counter((at[0], call) for at, r in self.responses.items() if r.told or not told for call in r.calls)

    def questions(self, *, told: bool) -> Counter[Place]:
        """
        How many questions each request asks; *told*: only those that the agent certainly came to ask.
        """
        sure = {at: n for at, n in self.asked.items() if at in self.answers or at[0] in self.ended}
        return Counter(sure if told else self.asked)

    def spent(self, run: str) -> set[int]:
        """
        What the run may have cost, nano-USD: one figure, or three with the response its agent was killed over.
        """
        own = [response for at, response in self.responses.items() if at[0] == run]
        sure = sum(response.cost for response in own if response.told) + self.asides[run]
        cut = [response for response in own if not response.told]
        return {sure, sure + sum(r.cost for r in cut), sure + sum(r.first for r in cut)}

    def _take(self, row: dict[str, Any], run: str) -> None:
        match row["kind"]:
            case "start":
                self.started[run].append(row["pid"])
            case "end":
                self.ended.add(run)
            case "message":
                self.responses[run, row["id"]] = Response(row["cost"], row["first"], tuple(row["calls"]))
            case "aside":
                self.asides[run] += row["cost"]
            case "told":
                self.responses[run, row["id"]] = self.responses[run, row["id"]]._replace(told=True)
            case "cut":
                # Broken off by an interrupt: it is booked as it began, and no call of it was made.
                self.responses[run, row["id"]] = Response(row["cost"], row["cost"], (), told=True)
            case "returned":
                self.returned[run, row["id"]] += 1
            case "question":
                self.asked[run, row["request"]] = len(row["texts"])
            case "answer":
                self.answers[run, row["request"]] = row["answers"]
            case "repeat" if not row["same"]:
                self.contradictions.append((run, f"{row['what']} {row['id']}"))
