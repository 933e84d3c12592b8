"""
F1: the daemon is killed after it took the torn last line of an agent's output, and before the end of the run is recorded:
the next one settles the run too, and tells of that line once.
"""

from __future__ import annotations

import os
import signal

import pytest
from harness import script
from harness.mutant import Mutant
from kit.script import DAY, task

from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MUTANTS = (
    Mutant(
        "the cursor stays before a torn last line",
        file="runner/session.py",
        old="await self._take(torn, known=self._intake.known, end=self._intake.offset)",
        new="await self._take(torn)",
        test="test_a_torn_last_line_is_told_once",
    ),
)


@pytest.mark.parametrize("point", ["session.settled.before_record", "run.evidence.before_record"])
@pytest.mark.parametrize(
    "last", [b'{"type":"assis', b'{"type":"system","subtype":"api_retry","attempt":1,"error":"x"}']
)
def test_a_torn_last_line_is_told_once(fault_world, tally, point, last):
    world = fault_world(config={"retries": 0}, start=False)
    world.script("a", [script.stream(2), script.raw(last, newline=False), script.gate("held")])
    world.start(f"{point}=kill")
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("held")
    os.kill(world.agent_pid("a/1"), signal.SIGKILL)
    assert world.died() == -signal.SIGKILL
    told = world.events("run.stream_damaged", "run.retry_seen")
    assert len(told) == 1
    world.start()
    world.wait("a")
    after = world.events("run.stream_damaged", "run.retry_seen")
    assert after == told
    assert problems(check_home(world.home, logs=[world.log])) == []
    tally(row="F1", kills=1, checked=len(world.events()), lost=0, doubled=len(after) - 1, note="a torn last line")
