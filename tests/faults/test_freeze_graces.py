"""
A frozen agent does not react, and is not ended for it: every grace that had begun stands still until the thaw.
"""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, suppress

import pytest
from harness.indoors import MovedClock, aside, serving, work_on
from harness.mutant import Mutant
from harness.script import deaf, gate, say, silent, stream, stubborn
from harness.world import GONE
from kit.files import wait_file
from kit.processes import alive, of_runs, parent, told_to_end, until
from kit.rpc import RpcError
from kit.script import DAY, task

from orchestrd.runner import freezing, ladder
from orchestrd.storage.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOUR = 3600.0
GRACE = 1800.0
"""Seconds, by a clock that is moved: only then is it over."""


@pytest.mark.anyio
@pytest.mark.parametrize("restart", [False, True])
async def test_a_run_that_is_to_stop(fault_world, monkeypatch, restart):
    """
    Its time is over, it was interrupted, and then everything is frozen.
    """
    monkeypatch.setattr(ladder, "INTERRUPT_SECONDS", GRACE)
    world, clock = fault_world(start=False, watched=True), MovedClock()
    world.script("a", [stubborn(), gate("up"), silent()])
    async with AsyncExitStack() as daemon:
        await daemon.enter_async_context(serving(world, clock))
        await aside(world.submit_tasks, task("a", timeout="20s", retries=0), day=DAY)
        (await aside(world.gate.arrive, "up")).release()
        pid = world.agent_pid("a/1")
        await work_on(world, clock, 24, loop="freezer")
        await aside(world.wait_event, "run.stopping")
        await aside(wait_file, world.run_dir("a/1") / "stdin.jsonl", lambda data: b'"interrupt"' in data)
        await aside(world.rpc, "home.freeze")
        if restart:
            await daemon.aclose()
            await daemon.enter_async_context(serving(world, clock))
        clock.pass_by(HOUR)
        await aside(world.rounds, "session")
        assert of_runs(world.root) == {pid: "T"}
        assert not told_to_end(pid)
        await aside(world.rpc, "home.thaw")
        # The graces are given, after the thaw: the interrupt's, and the shim's own.
        await aside(world.rounds, "session")
        assert not told_to_end(pid)
        clock.pass_by(GRACE)
        await aside(until, lambda: told_to_end(pid))
        assert await aside(world.wait, "a") == {"a": "failed"}
        exited = world.events("run.exited")[0]
        assert (exited["event"]["outcome"], exited["event"]["signal"]) == ("timed_out", signal.SIGKILL)
        assert exited["at"] - world.events("home.thawed")[0]["at"] >= GRACE + 1.0


@pytest.mark.anyio
async def test_a_run_that_was_asked_to_leave(fault_world):
    world, clock = fault_world(start=False, watched=True, config={"agent": {"stop_grace": f"{GRACE}s"}}), MovedClock()
    world.script("a", [deaf(), stubborn(), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("a"), day=DAY)
        await aside(world.wait_event, "run.turn_ended")
        pid = world.agent_pid("a/1")
        await aside(wait_file, world.run_dir("a/1") / "stdin.jsonl", lambda data: b'"end_session"' in data)
        await aside(world.rpc, "home.freeze")
        clock.pass_by(HOUR)
        await aside(world.rounds, "session")
        assert of_runs(world.root) == {pid: "T"}
        assert not told_to_end(pid)
        await aside(world.rpc, "home.thaw")
        await aside(world.rounds, "session")
        assert not told_to_end(pid)
        clock.pass_by(GRACE)
        await aside(until, lambda: told_to_end(pid))
        # As the shim does, half an hour of its own clock later.
        os.kill(pid, signal.SIGKILL)
        assert await aside(world.wait, "a") == {"a": "succeeded"}


@pytest.mark.parametrize("end", ["thaw", "cancel"])
def test_a_run_that_was_about_to_start(fault_world, end):
    """
    The daemon died just before it started the agent; the next one finds the home frozen.
    """
    world = fault_world(start=False, watched=True)
    world.script("a", [say()])
    world.start("spawn.specified.before_exec=kill")
    with suppress(GONE):
        world.rpc("task.submit", path=str(world.day(task("a"), day=DAY)))
    assert world.died() == -signal.SIGKILL
    assert world.orchctl("freeze").code == 0
    world.start()
    # It served at once: nothing lives that could be taken up.
    assert "adoption.late" not in world.log.read_text()
    world.rounds("freezer")
    assert not (world.run_dir("a/1") / "shim.lock").exists()
    if end == "thaw":
        world.rpc("home.thaw")
        assert world.wait("a") == {"a": "succeeded"}
        assert [e["event"]["attempt"] for e in world.events("run.started")] == [1]
    else:
        world.rpc("task.cancel", tasks=["a"])
        assert world.wait("a") == {"a": "cancelled"}
        assert (world.run_dir("a/1") / "barred").exists()
        assert not (world.run_dir("a/1") / "process.json").exists()


@pytest.mark.parametrize("served", [True, False])
def test_a_cancelled_agent_whose_shim_is_stopped_too(fault_world, served):
    """
    It is killed where it stands: after the thaw not one more word of it is there.
    """
    world, agent, shim = beside_a_stopped_shim(fault_world)
    if not served:
        world.kill()
    assert world.orchctl("freeze").code == 0
    told = len(world.truth_rows("told"))
    assert world.orchctl("cancel", "a").code == 0
    until(lambda: not alive(agent))
    assert world.orchctl("thaw").code == 0
    os.kill(shim, signal.SIGCONT)
    if not served:
        world.start()
    assert world.wait("a") == {"a": "cancelled"}
    assert len(world.truth_rows("told")) == told


def test_a_thaw_comes_before_the_end_of_what_was_cancelled(fault_world):
    """
    Who thaws ends it then; one that was not frozen has its way down step by step.
    """
    world, agent, shim = beside_a_stopped_shim(fault_world)
    logs, run = world.home / "var" / "agent_logs", RunDir(world.run_dir("a/1"))
    world.kill()
    freezing.thaw(logs, [], [run])
    assert alive(agent)
    assert freezing.freeze(logs, [])
    freezing.thaw(logs, [], [run])
    until(lambda: not alive(agent))
    os.kill(shim, signal.SIGCONT)


def beside_a_stopped_shim(fault_world):
    """
    A world with an agent that speaks and speaks, its process, and that of its shim, which somebody stopped.
    """
    world = fault_world()
    world.script("a", [stream(4000, every=0.05), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.wait_truth("told", run=f"{DAY}/a/1")
    agent = world.agent_pid("a/1")
    shim = parent(agent)
    os.kill(shim, signal.SIGSTOP)
    return world, agent, shim


def test_what_cannot_be_recorded_is_stopped_all_the_same(fault_world):
    """
    The disk is full just then.
    """
    world = fault_world()
    world.script("a", [gate("stays"), say()])
    world.submit_tasks(task("a"), day=DAY)
    stays = world.gate.arrive("stays")
    # All that it said so far: the next daemon has nothing of it to record.
    world.wait_event("run.initialised")
    world.kill()
    # The first transaction says that the daemon started.
    world.start("journal.begun=enospc@2")
    until(lambda: len(world.events("daemon.started")) == 2)
    with pytest.raises(RpcError, match="everything was stopped, but that could not be recorded"):
        world.rpc("home.freeze")
    assert of_runs(world.root) == {world.agent_pid("a/1"): "T"}
    assert world.events("home.frozen") == []
    world.rpc("home.thaw")
    stays.release()
    assert world.wait("a") == {"a": "succeeded"}


MUTANTS = (
    Mutant(
        "a grace goes on while everything is frozen",
        file="clock.py",
        old="        self._since = now if still else None\n",
        new="        self._since = None\n",
        test="test_a_run_that_was_asked_to_leave",
    ),
    Mutant(
        "who is interrupted is told to end although it is frozen",
        file="runner/session.py",
        old="        elif row.phase is RunPhase.STOPPING and self._desk.frozen:\n            if row.cancelled:\n                self._ladder.fell()\n",
        new="        elif row.phase is RunPhase.STOPPING and self._desk.frozen:\n            self._ladder.end()\n",
        test="test_a_run_that_is_to_stop[False]",
    ),
    Mutant(
        "a run is begun although everything is frozen",
        file="services/desk.py",
        old="            if self.reckoned and not self.frozen:",
        new="            if self.reckoned:",
        test="test_a_run_that_was_about_to_start[cancel]",
    ),
    Mutant(
        "first the record, then the deed",
        file="services/standstill.py",
        old="        await self._freezer.stop_all()\n        try:\n            frozen = await self._commands.freeze(p)\n",
        new="        try:\n            frozen = await self._commands.freeze(p)\n",
        test="test_what_cannot_be_recorded_is_stopped_all_the_same",
    ),
    Mutant(
        "a frozen agent is ended by its shim alone",
        file="runner/freezing.py",
        old='        run.tell("stop 0")\n        end_heirs(run)\n',
        new='        run.tell("stop 0")\n',
        test="test_a_cancelled_agent_whose_shim_is_stopped_too[True]",
    ),
    Mutant(
        "a thaw lets go what was cancelled",
        file="runner/freezing.py",
        old="        if _stands_still(run):\n",
        new="        if False:\n",
        test="test_a_thaw_comes_before_the_end_of_what_was_cancelled",
    ),
)
