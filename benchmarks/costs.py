"""
Is what we say an agent has spent what it has spent?

The real Claude Code CLI against the rehearsal model, whose books are the truth: one day with every way of spending there is a case
of (``tests/acceptance/kit/spending.py``).  For each is printed how many answers were billed and for how much, by how much ours is off at the
end, and how many of the newest answers ours lacked at the most, looked at again and again.  A real model's answers take seconds; these
take ``--pace``, by default hardly any.
Run: ``python benchmarks/costs.py [--cli PATH] [--pace SECONDS] [--only NAME ...]``.  Exit status 1 when an end is off by more than a
millionth of a dollar, or when more than one answer of each conversation was ever lacking.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "acceptance"))

from kit.spending import CASES, TOLERANCE, Case, Watch, play, standing, standings
from kit.world import World


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", default="bundled", help="the Claude Code CLI")
    parser.add_argument("--only", nargs="*", help="names of cases")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds that each answer takes; 0: as its case has it")
    wanted = parser.parse_args()
    cases = [case for case in CASES if not wanted.only or case.name in wanted.only]
    scenarios = [scenario for case in cases for scenario in case.scenarios]
    for step in [step for scenario in scenarios for step in scenario["steps"]]:
        step["delay"] = wanted.pace or step.get("delay", 0.0)
    config = {"max_concurrent_agents": 5, "agent": {"binary": wanted.cli}}
    with World(scenarios, config=config) as world:
        world.quiet = True
        watch = Watch(world, cases)
        held: defaultdict[str, int] = defaultdict(int)

        def seen(case: Case) -> None:
            held[case.name] = max(held[case.name], standing(world, case).lacking)

        watch.start()
        try:
            states = play(world, cases, seen)
        finally:
            watch.end()
        found = standings(world, cases)
    print(f"{'case':16} {'answers':>7} {'billed USD':>12} {'off uUSD':>10}  lacking of  at the gate  ended")
    for case in cases:
        now = found[case.name]
        at_gate = held.get(case.name, "-")
        print(
            f"{case.name:16} {now.answers:7} {now.truth / 1e9:12.6f} {now.off / 1e3:10.3f}"
            f"  {watch.most[case.name]:7} {case.conversations:2}  {at_gate:>11}  {states[case.name]}"
        )
    print(f"{len(cases)} cases; looks at a live one by answers lacking: {dict(sorted(watch.looks.items()))}")
    if behind := watch.behind():
        print(f"more than one answer of each conversation behind: {behind}")
    return 1 if behind or any(abs(now.off) > TOLERANCE for now in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
