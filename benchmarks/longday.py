"""
How often is the service asked on a day on which it is in trouble for a good part of it?

The day of `tests/acceptance/test_long_day.py`: the real daemon and the real Claude Code CLI against the rehearsal model, on a clock
that jumps while nobody works, with two used-up usage windows, an hour of overload, a login that is gone, quiet hours and two kills
of the daemon.  Prints for each hour how many requests there were, the most in a minute and what they met; how long each trouble kept
the agents; and how many minutes had how many requests.
Run: ``python benchmarks/longday.py``.  Exit status 1 when a task did not succeed.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "acceptance"))

from kit.longday import TASKS, LongDay, distribution


def main() -> int:
    with LongDay() as day:
        day.quiet = True
        told = day.live()
        asked, minutes = day.gateway.asked, day.gateway.minutes
        print("hour      requests  most a minute  runs begun  met")
        for hour in range(10, 36):
            begin, end = day.at(hour), day.at(hour + 1)
            here = [request for request in asked if begin <= request.at < end]
            runs = sum(begin <= start.at < end for start in told.starts)
            if not here and not runs:
                continue
            most = max((number for minute, number in minutes.items() if begin <= minute * 60 < end), default=0)
            met = Counter(str(request.met.kind) for request in here if request.met is not None)
            words = ", ".join(f"{number} {kind}" for kind, number in met.items())
            print(f"{day.hour(begin):8}  {len(here):8}  {most:13}  {runs:10}  {words}")
        for episode in told.episodes:
            span = f"{day.hour(episode.known)} to {day.hour(episode.over)}"
            print(f"{episode.cause}: known from {span}, {len(episode.tries)} runs tried, {len(episode.after)} followed")
        print(distribution(minutes))
        succeeded = sum(how == "succeeded" for how in told.ended.values())
        print(f"{succeeded} of {TASKS} tasks succeeded in {len(told.starts)} runs")
        return 0 if succeeded == TASKS else 1


if __name__ == "__main__":
    sys.exit(main())
