"""
F39: a day that does not end.  Fake agents in waves, random kills and restarts, readers too slow for what they asked for,
and somebody who looks at the status all the time: ``python tests/faults/soak.py --minutes 30``.

In the first third the daemon is killed again and again.  What it leaks must show in a life that lasts, so the last of them
is left alone: its first minutes, in which caches and buffers fill, are left out, and the slope of the rest is judged.

Every few seconds the memory and the open files of the daemon and of its shims are read.  At the end the slopes are printed
(least squares; KiB and files a minute, the daemon's KiB by tasks too), and the home is held against the agents' ledger, as it
is now and then on the way.  Exit status 1 when anything was lost, doubled or miscounted, or a slope is over its bound.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

FAULTS = Path(__file__).resolve().parent
sys.path.insert(0, str(FAULTS.parent / "acceptance"))
sys.path.insert(0, str(FAULTS))

from harness.check import Checked, look
from harness.script import ask, busy, say, stream, write
from harness.world import GONE, FaultWorld, open_files, rss_kib
from kit.rpc import Link, RpcError
from kit.script import question, task

SAMPLE_SECONDS = 2.0
WARM_SECONDS = 180.0
"""The last life's first seconds are left out of its slope."""
SHORTEST_MINUTES = 10.0
"""Less leaves too little of the last life for a slope."""
STORM = 1 / 3
"""Which part of the time has kills."""
LONG_SECONDS = 60.0
"""A shim that lived so long is counted as a long one."""
CHECK_SECONDS = 60.0
KIB_A_TASK = 12.0
"""
Bound of what the daemon grows by.  It keeps every row in memory, 4 KiB a task, and as much again goes between Python's pools:
what is kept besides, of each of a task's hundred facts or of each look at the status, would show.
"""
KIB_A_MINUTE = 128.0
"""Bound of what it grows by beside that, whatever it does: also while no task ends."""
SHIM_KIB_A_MINUTE = 64.0
FILES_A_MINUTE = 3.0


class Sample(NamedTuple):
    """
    *at* is seconds since the soak began, *life* counts daemons, *rss* is KiB, *tasks* how many had ended by then.
    """

    at: float
    life: int
    rss: int
    files: int
    tasks: int = 0


class Soak:
    """
    One soak in one world.
    """

    def __init__(self, world: FaultWorld, *, agents: int, kill_every: float, seed: int) -> None:
        self.world = world
        self.agents = agents
        self.kill_every = kill_every
        self.chance = random.Random(seed)
        self.began = time.monotonic()
        self.life = self.kills = self.waves = self.looks = self.ended = 0
        self.samples: list[Sample] = []
        self.shims: dict[int, list[Sample]] = defaultdict(list)
        self.done = threading.Event()
        world.script("default", [stream(30, every=0.05), write("a.txt", "a"), say()])

    def run(self, seconds: float) -> Checked:
        """
        Until *seconds* are over and the last task has ended.
        """
        threads = [threading.Thread(target=loop, daemon=True) for loop in (self._poll, self._read_slowly)]
        for thread in threads:
            thread.start()
        next_kill, next_check, next_sample = self._next_kill(), CHECK_SECONDS, 0.0
        while self.now < seconds:
            self._feed()
            self._answer()
            if self.now >= next_sample:
                self._sample()
                next_sample = self.now + SAMPLE_SECONDS
            if self.now >= next_check:
                self._tell(look(self.world))
                next_check = self.now + CHECK_SECONDS
            if next_kill <= self.now < seconds * STORM:
                self._kill()
                next_kill = self._next_kill()
            time.sleep(0.2)
        while not self.world.outlast(lambda: self.world.rpc("task.status")["settled"]) or self.world.living():
            self._answer()
            time.sleep(0.2)
        self.done.set()
        for thread in threads:
            thread.join()
        found = look(self.world)
        self._tell(found)
        return found

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def _next_kill(self) -> float:
        return self.now + self.chance.expovariate(1 / self.kill_every)

    def _kill(self) -> None:
        self.world.restart()
        self.kills += 1
        self.life += 1

    def _feed(self) -> None:
        """
        Another wave when fewer tasks are left than slots: most stream, one asks, one is sent away at first.
        """
        self.ended = len({row["run"].rpartition("/")[0] for row in self.world.truth_rows("end")})
        if self.waves * self.agents - self.ended > self.agents:
            return
        names = [f"w{self.waves}-{number}" for number in range(self.agents)]
        self.world.script(names[0], [stream(5), ask(question("Which?", "One", "Two")), stream(5), say()])
        self.world.script(names[1], [stream(5), busy()], [stream(5), say()])
        self.world.submit_tasks(*(task(name) for name in names), day=day_of(self.waves))
        self.waves += 1

    def _answer(self) -> None:
        for asked in self.world.outlast(lambda: self.world.rpc("question.list")):
            self.world.write("question.answer", task=asked["task"], question=asked["id"], options=["B"])

    def _poll(self) -> None:
        """
        Somebody watches the status.
        """
        while not self.done.wait(0.1):
            try:
                with Link(self.world.socket) as link:
                    while not self.done.wait(0.1):
                        link.call("task.status")
                        self.looks += 1
            except (*GONE, RpcError, TimeoutError):
                continue

    def _read_slowly(self) -> None:
        """
        Subscribers that take a line now and then, or none at all.
        """
        while not self.done.is_set():
            try:
                with Link(self.world.socket) as slow, Link(self.world.socket) as deaf:
                    for link in (slow, deaf):
                        link.call("events.subscribe", since=0)
                    while not self.done.wait(0.25):
                        slow.line(5.0)
            except (*GONE, RpcError, TimeoutError):
                self.done.wait(0.25)

    def _sample(self) -> None:
        assert self.world.daemon is not None
        pid = self.world.daemon.pid
        self.samples.append(Sample(self.now, self.life, rss_kib(pid), open_files(pid), self.ended))
        for shim in shims(self.world.root):
            self.shims[shim].append(Sample(self.now, self.life, rss_kib(shim), open_files(shim)))

    def _tell(self, found: Checked) -> None:
        last = self.samples[-1] if self.samples else Sample(0, 0, 0, 0)
        print(
            f"{self.now:6.0f} s  {self.kills} kills  {self.waves * self.agents} tasks  {found.events:,} events  "
            f"lost {found.lost}  doubled {found.doubled}  cents off {found.cents:g}  "
            f"daemon {last.rss:,} KiB, {last.files} files",
            *found.trouble[:10],
            sep="\n  ! ",
            flush=True,
        )


def day_of(wave: int) -> str:
    """
    The day that is submitted with a wave: each has one of its own.
    """
    return str(date(2026, 1, 1) + timedelta(days=wave))


def shims(root: Path) -> list[int]:
    """
    The world's shims, by their command lines.
    """
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(b"/shim.py") for word in words) and os.fsencode(root) in b"\0".join(words):
            found.append(int(name))
    return found


def slope(samples: list[Sample], field: str, by: str = "at") -> float:
    """
    How much *field* grows a second, or a task, by least squares; 0 for fewer than two samples.
    """
    if len({getattr(sample, by) for sample in samples}) < 2:
        return 0.0
    line = statistics.linear_regression([getattr(s, by) for s in samples], [getattr(s, field) for s in samples])
    return line.slope


class Growth(NamedTuple):
    """
    *what* grew by so many *kib* and *files* a minute; *over* its bound or not; *more* in words.
    """

    what: str
    kib: float
    files: float
    over: bool
    more: str = ""


def growths(soak: Soak) -> list[Growth]:
    """
    Of the daemon's last life, its warm-up left out, and of the shims.
    """
    last = [sample for sample in soak.samples if sample.life == soak.life]
    warm = [sample for sample in last if sample.at - last[0].at >= WARM_SECONDS]
    lasted = (warm[-1].at - warm[0].at) / 60
    kib, files, each = 60 * slope(warm, "rss"), 60 * slope(warm, "files"), slope(warm, "rss", "tasks")
    more = f"  {each:+.1f} KiB/task, {warm[0].rss:,} KiB to {warm[-1].rss:,} KiB over {warm[-1].tasks - warm[0].tasks} tasks"
    allowed = KIB_A_MINUTE + KIB_A_TASK * 60 * slope(warm, "tasks")
    over = each > KIB_A_TASK or kib > allowed or files > FILES_A_MINUTE
    daemon = Growth(f"daemon, {lasted:.0f} min", kib, files, over, more)
    old = [samples for samples in soak.shims.values() if samples[-1].at - samples[0].at >= LONG_SECONDS]
    # A shim lives as long as its run: how a shim's age shows in its size, over all of them.
    aged = [s._replace(at=s.at - samples[0].at) for samples in soak.shims.values() for s in samples[1:]]
    kib, files = 60 * slope(aged, "rss"), 60 * slope(aged, "files")
    over = kib > SHIM_KIB_A_MINUTE or files > FILES_A_MINUTE
    return [daemon, Growth(f"shims ({len(soak.shims)}, {len(old)} long)", kib, files, over)]


def at_least(low: float, kind: Callable[[str], float], why: str) -> Callable[[str], float]:
    """
    What reads an argument, and refuses less than *low*, because of *why*.
    """

    def read(text: str) -> float:
        value = kind(text)
        if not (math.isfinite(value) and value >= low):
            raise argparse.ArgumentTypeError(f"{text}: must be {low:g} or more: {why}")
        return value

    return read


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    """
    The command line; ends the process where it cannot be obeyed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    minutes = at_least(SHORTEST_MINUTES, float, "less says nothing about what grows slowly")
    agents = at_least(2, int, "one asks, and one is sent away at first")
    kills = at_least(1.0, float, "a daemon takes that long to start")
    parser.add_argument("--minutes", type=minutes, default=30.0)
    parser.add_argument("--agents", type=agents, default=10)
    parser.add_argument("--kill-every", type=kills, default=45.0, help="seconds between two kills, on average")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args(argv)


def main() -> int:
    arguments = arguments_of(None)
    print(f"seed {arguments.seed}", flush=True)
    with FaultWorld(agents=arguments.agents) as world:
        soak = Soak(world, agents=arguments.agents, kill_every=arguments.kill_every, seed=arguments.seed)
        found = soak.run(arguments.minutes * 60)
        bad = bool(found.trouble)
        for growth in growths(soak):
            bad |= growth.over
            over = "  OVER ITS BOUND" if growth.over else ""
            print(f"{growth.what:24} {growth.kib:+9.1f} KiB/min  {growth.files:+6.2f} files/min{growth.more}{over}")
        attached = [life.attached for life in world.lives if life.attached is not None]
        if attached:
            print(f"re-attached after {statistics.median(attached):.2f} s (median), {max(attached):.2f} s (worst)")
        print(f"{soak.looks:,} looks at the status", flush=True)
        world.quiet = not bad
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
