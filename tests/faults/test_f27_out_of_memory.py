"""
F27: one agent takes more memory than it may.  It is ended, says so, and nobody else notices.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.check import check
from harness.manager import cgroup_root
from harness.mutant import Mutant
from harness.script import eat, say, stream
from kit.processes import alive, parent
from kit.script import DAY, task

pytestmark = pytest.mark.slow
LIMIT = 128 << 20
OLD = Path("/sys/fs/cgroup/memory")
"""Where version 1 of the memory controller is mounted."""

MUTANTS = (
    Mutant(
        "who ended the agent is not looked at",
        file="runner/shim.py",
        old='"oom_kills": oom_kills() - self.oom_kills,',
        new='"oom_kills": 0,',
        test="test_an_agent_that_takes_too_much_ends_alone_and_says_why",
    ),
    Mutant(
        "an agent that was ended for its memory is called killed by somebody",
        file="domain/outcomes.py",
        old="    if end.out_of_memory:\n",
        new="    if end.out_of_memory and not end.signal:\n",
        test="test_an_agent_that_takes_too_much_ends_alone_and_says_why",
    ),
)


@pytest.fixture
def group() -> Iterator[Path]:
    """
    A control group whose memory can be limited, of whichever version this machine has.
    """
    unified = cgroup_root()
    name = f"orchestrd-test-{uuid.uuid4().hex[:8]}"
    if os.getuid() != 0:
        pytest.skip("control groups need root")
    if (OLD / "memory.limit_in_bytes").exists() and os.access(OLD, os.W_OK):
        found = OLD / name
    elif unified == Path("/sys/fs/cgroup") and "memory" in (unified / "cgroup.subtree_control").read_text().split():
        found = unified / name
    else:
        pytest.skip("no memory controller that children may use")
    found.mkdir()
    (found / "agent").mkdir()
    yield found
    for folder in (found / "agent", found):
        folder.rmdir()


def test_an_agent_that_takes_too_much_ends_alone_and_says_why(group: Path, fault_world, tally) -> None:
    inner = group / "agent"
    limits = [inner / "memory.limit_in_bytes", inner / "memory.memsw.limit_in_bytes", inner / "memory.max"]
    world = fault_world(config={"retries": 0})
    (group / "cgroup.procs").write_text(str(world.daemon.pid))
    world.script("greedy", [stream(100_000, every=0.05, until="eat"), eat(100), say()])
    world.script("modest", [stream(100_000, every=0.05, until="finish"), say()])
    world.submit_tasks(task("greedy"), task("modest"), day=DAY)
    agents = {name: world.agent_pid(f"{name}/1") for name in ("greedy", "modest")}
    for name in agents:
        world.wait_truth("told", run=f"{DAY}/{name}/1")
    for pid in (parent(agents["greedy"]), agents["greedy"]):
        (inner / "cgroup.procs").write_text(str(pid))
    for limit in filter(Path.exists, limits):
        limit.write_text(str(LIMIT))
    (world.fake / "eat").touch()
    exited = world.wait_event("run.exited")["event"]
    assert (exited["run"], exited["outcome"], exited["signal"]) == (f"{DAY}/greedy/1", "killed", 9)
    assert exited["reason"] == "the agent was ended by the kernel (SIGKILL): out of memory"
    requeued = world.wait_event("task.requeued")["event"]
    assert (requeued["counted"], requeued["setback"]) == (False, True)
    world.write("task.cancel", tasks=["greedy"])
    assert alive(agents["modest"])
    assert world.daemon.poll() is None
    (world.fake / "finish").touch()
    assert world.wait() == {"greedy": "cancelled", "modest": "succeeded"}
    world.stop()
    found = check(world)
    tally("F27", kills=1, note="by the kernel's own choice", **found.counts)


def test_the_service_limits_each_agent(service_world, tally) -> None:
    world = service_world(config={"retries": 0, "agent": {"memory_max": LIMIT}})
    if "memory" not in (world.manager.group / "cgroup.controllers").read_text().split():
        pytest.skip("the memory controller is not in the unified hierarchy of this machine")
    world.install()
    agents = world.begin("modest")
    world.script("greedy", [stream(20, every=0.05), eat(100), say()])
    world.submit_tasks(task("greedy"), day="2026-11-23")
    exited = world.wait_event("run.exited")["event"]
    assert exited["reason"] == "the agent was ended by the kernel (SIGKILL): out of memory"
    world.assert_alive({**agents})
    tally("F27", kills=1, note="by memory_max of the service")
