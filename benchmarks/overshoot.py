"""
How much is spent beyond a day's limit when six agents pass it at once?

The real Claude Code CLI against the rehearsal model: for every seed a day of six agents that make answers of their own sizes and
paces, with a limit that they pass in the middle.  For each is printed what was spent, what was spent beyond the limit, and what
the answers cost that were under way when it was passed; at the end their distribution.  With ``--kill`` the daemon is killed at
four fifths of the limit and started again; with ``--midnight`` the day goes over in the middle of it; with ``--subagents`` it is
the six subagents of one agent that pass the limit.
Run: ``python benchmarks/overshoot.py [--seeds 50] [--kill] [--midnight] [--subagents]``.  Exit status 1 when more was spent than that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "acceptance"))

from kit.crossing import AGENTS, Crossing, begin, delegated, scenarios, settle
from kit.processes import until
from kit.world import World

CONFIG = {"max_concurrent_agents": AGENTS, "budget": {"reserve": {"low": 0, "medium": 0, "high": 0}}}
BEFORE_MIDNIGHT = 12.0
"""Seconds from a day's start to its end, with ``--midnight``: about when the limit is near."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--midnight", action="store_true")
    parser.add_argument("--subagents", action="store_true")
    wanted = parser.parse_args()
    days = delegated if wanted.subagents else scenarios
    found: list[Crossing] = []
    late = 0
    for seed in range(wanted.seeds):
        zone = _zone(BEFORE_MIDNIGHT) if wanted.midnight else "UTC0"
        midnight = time.time() + BEFORE_MIDNIGHT
        with World(lambda _, seed=seed: days(range(seed, seed + 1)), config=CONFIG, zone=zone) as world:
            world.quiet = True
            begin(world, seed, parts=wanted.subagents)
            if wanted.kill:
                until(lambda world=world: world.status()["cost"]["fraction"] > 0.8)
                world.kill()
                world.start()
            found.append(settle(world, seed, parts=wanted.subagents))
            (reached,) = world.events("day.limit_reached")
            late += reached["at"] > midnight
            print(found[-1].line(), flush=True)
    if wanted.midnight:
        print(f"the limit was passed after midnight on {late} of {len(found)} days")
    if wanted.subagents:
        # What an answer came to that was broken off, the model's books say: the beginning.
        over = [crossing for crossing in found if crossing.billed_beyond > crossing.under_way]
    else:
        over = [crossing for crossing in found if crossing.beyond > crossing.under_way + crossing.unsure]
    shares = sorted(crossing.beyond / crossing.limit for crossing in found)
    print(f"{len(found)} days; beyond the limit: {sum(share > 0 for share in shares)} of them")
    if len(shares) > 1:
        middle, ninth = statistics.median(shares), statistics.quantiles(shares, n=10)[-1]
        print(f"beyond it, of the limit: median {middle:.2%}, nine in ten {ninth:.2%}, most {shares[-1]:.2%}")
    used = sorted(crossing.spent / crossing.limit for crossing in found)
    print(f"used of the limit: least {used[0]:.2%}, median {statistics.median(used):.2%}")
    print(f"more than was under way: {len(over)}")
    return 1 if over else 0


def _zone(seconds: float) -> str:
    """
    A time zone in which it is midnight in so many *seconds*: POSIX, hours behind UTC.
    """
    now = datetime.now(UTC)
    behind = (now.hour * 3600 + now.minute * 60 + now.second + seconds) % 86400
    hours, rest = divmod(int(behind), 3600)
    return f"XYZ{hours:02}:{rest // 60:02}:{rest % 60:02}"


if __name__ == "__main__":
    sys.exit(main())
