"""
A day whose limit is crossed by several agents at once, and what was spent beyond it.

The real CLI against the rehearsal model, whose ledger says when each answer began and ended: what was under way in the moment
in which the limit was passed is the most that may be spent beyond it.
"""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from kit.model import cost
from kit.script import PRICES, Step, bash, call, conversation, say, scenario, task, use
from kit.world import World

AGENTS = 6
PARTS = 6
"""Subagents of the one agent of a day on which all is delegated."""
DELEGATED = "delegated"
"""Its name, and that of the days."""
WORDS = 200
"""Tokens of the longest answer."""
FIRST = date(2026, 12, 1)
SETTLED = 120.0
"""Seconds within which every agent of a day has ended after its limit was reached."""


class Crossing(NamedTuple):
    """
    What became of one day: nano-USD of its *limit*, of what was *spent* by our account and by the model's, of the answers
    *under_way* when the limit was passed, and how many began *late*, after that.  Of answers that were *broken* off the model's
    books know only the beginning, and of one that an interrupt came into, the CLI: neither is off by more than a whole one,
    `WORDS` long.
    """

    seed: int
    limit: int
    spent: int
    billed: int
    under_way: int
    broken: int
    late: int
    curtailed: int
    halted: int

    @property
    def beyond(self) -> int:
        return max(0, self.spent - self.limit)

    @property
    def billed_beyond(self) -> int:
        return max(0, self.billed - self.limit)

    @property
    def unsure(self) -> int:
        """
        Nano-USD by which the two accounts may differ.
        """
        return 1000 + (self.broken + self.halted) * WORDS * PRICES["claude-opus-5-5"]["output"]

    def line(self) -> str:
        return (
            f"{self.seed:4}  limit {self.limit / 1e9:.4f}  spent {self.spent / self.limit:7.2%}  "
            f"beyond {self.beyond / 1e9:.5f}  under way {self.under_way / 1e9:.5f}  began late {self.late}  "
            f"wound up {self.curtailed}, interrupted {self.halted}"
        )


def day_of(seed: int) -> str:
    return (FIRST + timedelta(days=seed)).isoformat()


def scenarios(seeds: range) -> list[dict[str, Any]]:
    """
    For each of *seeds* a day of six agents at work: each makes dozens of answers of its own sizes and paces.
    """
    found = []
    for seed in seeds:
        chance = random.Random(seed)
        for number in range(AGENTS):
            steps = []
            for _ in range(40):
                usage = {"input": chance.randrange(200, 4000), "output": chance.randrange(20, WORDS)}
                more = {"usage": usage, "delay": chance.random() * 0.3, "pace": chance.random() * 0.03}
                steps.append(bash(f"sleep {chance.random() * 0.4:.2f}", **more))
            found.append(
                scenario(
                    f"a{number}",
                    *_until_told(steps),
                    say("Done."),
                    day=day_of(seed),
                    name=f"{seed}-a{number}",
                )
            )
    return found


def delegated(seeds: range) -> list[dict[str, Any]]:
    """
    For each of *seeds* a day of one agent that has all its work done by subagents: of their answers the stream tells only the
    beginning, and nearly all that they cost is what is told at the end.
    """
    found = []
    for seed in seeds:
        chance = random.Random(f"parts {seed}")
        names = [f"{seed}-part {number} of it" for number in range(PARTS)]
        for name in names:
            steps = [
                bash(f"sleep {chance.random() * 0.3:.2f}", usage=_wordy(chance), pace=0.03 + chance.random() * 0.09)
                for _ in range(60)
            ]
            found.append(conversation(name, *_until_told(steps), say("Done.", usage=_wordy(chance))))
        calls = [use("Agent", description="part", prompt=name, subagent_type="general-purpose") for name in names]
        steps = [call(*calls), say("Waiting."), *(say("One.") for _ in names)]
        found.append(scenario(DELEGATED, *steps, day=day_of(seed), name=f"{seed}-{DELEGATED}"))
    return found


def _wordy(chance: random.Random) -> dict[str, int]:
    return {"input": chance.randrange(100, 400), "output": chance.randrange(500, 2000)}


def _until_told(steps: list[Step]) -> list[Step]:
    """
    *steps*, and the summary of one that is told to stop.
    """
    told = {**say("So far.", usage={"input": 400, "output": 50}), "when": {"result": "Call no further tool"}}
    return [*[{**step, "unless": {"result": "Call no further tool"}} for step in steps], told]


def limit_of(seed: int) -> float:
    """
    USD that the day's agents pass some time in the middle.
    """
    return round(random.Random(f"limit {seed}").uniform(0.3, 1.2), 4)


def tasks_of(*, parts: bool) -> list[str]:
    """
    The tasks of a day of several agents, or of one that has *parts*.
    """
    return [DELEGATED] if parts else [f"a{number}" for number in range(AGENTS)]


def begin(world: World, seed: int, *, parts: bool = False) -> None:
    tasks = [task(name) for name in tasks_of(parts=parts)]
    world.submit(*tasks, day=day_of(seed), max_cost_usd=limit_of(seed))


def settle(world: World, seed: int, *, parts: bool = False) -> Crossing:
    """
    What became of the day of *seed*, once all its agents have ended.
    """
    day = day_of(seed)
    world.wait_event("day.limit_reached", day=day, timeout=SETTLED)
    world.wait(*(f"{day}/{name}" for name in tasks_of(parts=parts)), timeout=SETTLED)
    status = world.rpc("task.status", day=day)["cost"]
    limit = round(status["limit_usd"] * 1e9)
    own = [entry for entry in world.ledger() if str(entry["scenario"]).startswith(f"{seed}-")]
    passed = _passed(own, limit)
    if passed is None:
        # If at all, it was passed by those that were broken off: what they had cost by then is billed.
        under_way = [entry for entry in own if _ended(entry) is None]
    else:
        under_way = [e for e in own if _at(e) <= passed and (_ended(e) is None or _ended(e) >= passed)]
    return Crossing(
        seed=seed,
        limit=limit,
        spent=round(status["spent_usd"] * 1e9),
        billed=sum(map(cost, own)),
        under_way=sum(map(cost, under_way)),
        broken=sum(entry["ended"] is None for entry in own),
        late=sum(passed is not None and _at(entry) > passed for entry in own),
        curtailed=_runs(world, day, "run.curtailed"),
        halted=_runs(world, day, "run.stopping"),
    )


def _runs(world: World, day: str, kind: str) -> int:
    return len({event["run"] for event in world.events(kind) if event["run"].startswith(f"{day}/")})


def _passed(entries: list[dict[str, Any]], limit: int) -> float | None:
    """
    When the answers that had ended came to the limit, or None.
    """
    spent = 0
    for entry in sorted((e for e in entries if e["ended"]), key=lambda e: e["ended"]):
        spent += cost(entry)
        if spent >= limit:
            return _ended(entry)
    return None


def _at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def _ended(entry: dict[str, Any]) -> float | None:
    return datetime.fromisoformat(entry["ended"]).timestamp() if entry["ended"] else None
