"""
Which loop is late, and when that is said.
"""

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrd.services import pulse as module
from orchestrd.services.pulse import Pulse

pytestmark = pytest.mark.anyio


class Hands:
    """
    A monotonic clock that is set by hand.
    """

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


async def test_a_loop_is_late_after_half_of_what_it_has():
    clock = Hands()
    pulse = Pulse(clock, within=30.0)
    assert pulse.late() == []
    await pulse.turn("b")
    await pulse.turn("a", work=10.0)
    clock.now += 15.0
    assert pulse.late() == []
    clock.now += 0.1
    assert pulse.late() == ["b"]
    clock.now += 10.0
    assert pulse.late() == ["a", "b"]
    await pulse.turn("b")
    assert pulse.late() == ["a"]


async def test_a_loop_that_is_started_again_gets_the_pause_besides():
    clock = Hands()
    pulse = Pulse(clock, within=30.0)
    await pulse.turn("reports")
    pulse.rest("reports", 60.0)
    pulse.rest("unknown", 60.0)
    clock.now += 74.0
    assert pulse.late() == []
    clock.now += 2.0
    assert pulse.late() == ["reports"]


async def test_on_a_full_disk_whoever_writes_may_wait_but_the_writer_may_not():
    clock, full = Hands(), [True]
    pulse = Pulse(clock, within=30.0, writers_wait=lambda: full[0])
    for loop in ("store", "rpc", "scheduler", "runs"):
        await pulse.turn(loop)
    clock.now += 3600.0
    assert pulse.late() == ["rpc", "store"]
    assert pulse.writers_excused()
    await pulse.turn("store")
    await pulse.turn("rpc")
    full[0] = False
    clock.now += 14.0
    # There is room again: they get the time they always have.
    assert pulse.late() == []
    clock.now += 1.1
    assert pulse.late() == ["rpc", "runs", "scheduler", "store"]


async def test_a_loop_that_is_idle_goes_round_in_time():
    pulse = Pulse(Hands(), within=30.0)
    assert 2 * pulse.idle < pulse.late_after


async def watch(monkeypatch, pulse, clock, *steps):
    """
    What is logged while the watch goes round: each time it sleeps the clock moves by the next step; at a negative one the
    writer answers besides.
    """
    left, ended = iter(steps), anyio.Event()

    async def sleep(_seconds):
        step = next(left, None)
        if step is None:
            ended.set()
            await anyio.sleep_forever()
        clock.now += abs(step)
        if step < 0:
            await pulse.turn("store")

    monkeypatch.setattr(module.anyio, "sleep", sleep)
    with capture_logs() as logs, anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(pulse.run, anyio.sleep_forever)
            await ended.wait()
            group.cancel_scope.cancel()
    return [(line["event"], line["loop"]) for line in logs]


async def test_a_late_loop_is_named_once_and_its_return_too(monkeypatch):
    clock = Hands()
    logged = await watch(monkeypatch, Pulse(clock, within=30.0), clock, 7.0, 7.0, 7.0, 7.0, -1.0)
    assert logged == [("loop.late", "store"), ("loop.back", "store")]


async def test_a_machine_that_stood_still_has_no_late_loops(monkeypatch):
    clock = Hands()
    assert await watch(monkeypatch, Pulse(clock, within=30.0), clock, 3600.0, -1.0, 1.0) == []
