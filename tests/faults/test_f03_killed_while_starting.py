"""
F3: the daemon dies by SIGKILL while it recovers, twenty times running; the next start completes.
"""

from __future__ import annotations

import random
import time

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from kit.script import DAY, question, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STARTS = 20
POINTS = (
    "home.locked.before_open=kill",
    "recovery.rows_read=kill",
    "journal.begun=kill",
    "journal.written.before_commit=kill",
    "journal.committed=kill",
    "recovery.before_adopt=kill",
    "recovery.attached=kill",
    "recovery.attached=kill@3",
    "home.adopted.before_bind=kill",
)
"""Where a start dies, each in its turn; every second start dies at a random moment."""


def test_killed_in_twenty_starts_running(fault_world, tally):
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    world = fault_world(agents=5)
    world.script("asks", [ask(question("Which?", "One", "Two")), stream(2), say()])
    world.script("default", [stream(3), gate("on"), stream(20), say()])
    world.submit_tasks(*(task(name) for name in ("asks", "a", "b", "c", "d")), day=DAY)
    held = [world.gate.arrive("on") for _ in range(4)]
    world.wait_event("question.asked")
    agents = world.living()
    assert len(agents) == 5
    world.kill()
    for number in range(STARTS):
        if number % 2:
            world.arm(POINTS[number // 2 % len(POINTS)])
            world.daemon = world.spawn()
            assert world.died() == -9, "the start did not come to the point"
        else:
            world.arm()
            world.daemon = world.spawn()
            time.sleep(chance.uniform(0.0, world.lives[0].ready))
            world.kill()
        if number == STARTS // 2:
            # Work goes on between two starts, and is taken up by one that dies as well.
            held.pop().release()
    world.start()
    assert {run: pid for run, pid in agents.items() if run in world.living()} == world.living()
    for arrival in held:
        arrival.release()
    world.write("question.answer", task=f"{DAY}/asks", options=["A"])
    assert set(world.wait().values()) == {"succeeded"}
    found = check(world)
    tally("F3", kills=STARTS + 1, note=f"{STARTS} starts running", **found.counts)


MUTANTS = (
    Mutant(
        "what was read before is recorded again",
        file="runner/session.py",
        old="await self._take(heard, known=known)\n",
        new="await self._take(heard, known=False)\n",
        test="test_killed_in_twenty_starts_running",
    ),
    Mutant(
        "live runs are not taken up",
        file="services/runs.py",
        old="            group.start_soon(self._carry, run)\n",
        new="            pass\n",
        test="test_killed_in_twenty_starts_running",
    ),
)
