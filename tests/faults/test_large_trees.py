"""
Agents that leave more than a snapshot can hold: a dump of half a terabyte, all of it a hole, takes no room and would take
git hours.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, result, say, stream
from harness.script import write as writes
from kit.processes import until
from kit.rpc import RpcError
from kit.script import DAY, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
HUGE = 500 << 30
KEEPING = "its agent has ended, and its work is being kept"

MUTANTS = (
    Mutant(
        "a cancel waits until all work is kept",
        file="services/desk.py",
        old="        await anyio.sleep(grace)\n        scope.cancel()\n",
        new="        await anyio.sleep(3600)\n        scope.cancel()\n",
        test="test_a_cancel_while_the_work_is_kept",
    ),
    Mutant(
        "what came before calls off what comes after",
        file="services/desk.py",
        old="            task_status.started()\n",
        new="            task_status.started()\n"
        "            if self.row(run).cancelled:\n                return scope.cancel()\n",
        test="test_what_a_cancelled_agent_leaves_is_kept",
    ),
    Mutant(
        "an agent that has ended is told as being at work",
        file="services/runs.py",
        old="        if self._endings.keeps(run):\n",
        new="        if False:\n",
        test="test_a_cancel_while_the_work_is_kept",
    ),
    Mutant(
        "that nothing was kept is kept secret",
        file="services/endings.py",
        old='            why = redact("; ".join(part for part in (why, missing) if part))\n',
        new="            why = redact(why)\n",
        test="test_a_cancel_while_the_work_is_kept",
    ),
    Mutant(
        "every file is small enough",
        file="workspace/listing.py",
        old="if size > max_file}",
        new="if size > max_file << 20}",
        test="test_a_file_that_is_too_large_stays_in_its_tree",
    ),
    Mutant(
        "what is too large goes with the tree",
        file="services/preparation.py",
        old="        (tree / path).rename(place / path)\n",
        new="        pass\n",
        test="test_a_file_that_is_too_large_stays_in_its_tree",
    ),
)


def leave(world, name: str) -> Path:
    """
    Leave the dump in the tree of an agent that waits at its gate, and let it go on; gives the tree.
    """
    held = world.gate.arrive(name)
    tree = world.workspace(name) / "tree"
    (tree / "dump.sql").touch(mode=0o600)
    os.truncate(tree / "dump.sql", HUGE)
    held.release()
    return tree


def told(world, name: str) -> bool:
    return KEEPING in world.orchctl("why", name).out and world.status(name)["activity"] == KEEPING


def git_in(tree: Path) -> list[int]:
    """
    The gits that look at *tree*.
    """
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and f"GIT_WORK_TREE={tree}".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def test_a_cancel_while_the_work_is_kept(fault_world, tally):
    """
    It would take hours: that is told, also by the next daemon, and a cancel ends it.
    """
    world = fault_world(config={"worktree": {"max_file": 0}})
    world.script("a", [stream(1), gate("a"), say()])
    world.submit_tasks(task("a"), day=DAY)
    tree = leave(world, "a")
    until(lambda: told(world, "a") and git_in(tree), timeout=60.0)
    world.restart()
    until(lambda: told(world, "a") and git_in(tree), timeout=60.0)
    assert world.orchctl("cancel", "a").code == 0
    ended = world.wait_event("run.exited", run=f"{DAY}/a/1")["event"]
    assert (ended["cause"], ended["result"]) == ("cancelled", None)
    assert ended["reason"] == f"cancelled; its work was not kept, that was called off: it is in {tree}"
    assert world.wait() == {"a": "cancelled"}
    assert git_in(tree) == []
    assert "its work was not kept" in world.orchctl("why", "a").out
    with pytest.raises(RpcError, match="was not kept: its tree may still be at"):
        world.rpc("task.diff", task="a")
    assert (tree / "dump.sql").stat().st_size == HUGE
    # Neither what git had read by then.
    world.restart()
    assert list((world.home / "var" / "git" / "work.git" / "objects").rglob("tmp_*")) == []
    tally("F12", kills=2, note="cancelled while its work was kept", **check(world).counts)


def test_what_a_cancelled_agent_leaves_is_kept(fault_world, tally):
    world = fault_world()
    world.script("a", [writes("half.txt", "half\n"), gate("a"), stream(100, every=0.1), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("a").release()
    world.rpc("task.cancel", tasks=["a"])
    world.wait()
    ended = world.wait_event("run.exited", run=f"{DAY}/a/1")["event"]
    assert (ended["cause"], ended["reason"]) == ("cancelled", "cancelled")
    assert [file["path"] for file in world.rpc("task.diff", task="a")["files"]] == ["half.txt"]
    tally("F12", note="cancelled, and its work kept", **check(world).counts)


def test_a_file_that_is_too_large_stays_in_its_tree(fault_world, tally):
    """
    All else of the work is kept; a tree that is made anew does not take it along.
    """
    world = fault_world()
    failed = result(is_error=True, terminal_reason="error", result="I give up.")
    world.script("a", [gate("a"), failed], [writes("small.txt", "small\n"), gate("a"), say()])
    world.submit_tasks(task("a", deliverables=["dump.sql"]), day=DAY)
    tree = leave(world, "a")
    first = world.wait_event("run.exited", run=f"{DAY}/a/1")["event"]
    assert first["left_out"] == ["dump.sql"]
    leave(world, "a")
    assert world.wait() == {"a": "succeeded"}
    [moved] = (tree.parent / "tmp").glob("left-*/dump.sql")
    assert moved.stat().st_size == (tree / "dump.sql").stat().st_size == HUGE
    last = world.wait_event("run.exited", run=f"{DAY}/a/2")["event"]
    assert (last["left_out"], [file["path"] for file in last["files"]]) == (["dump.sql"], ["small.txt"])
    assert [found["status"] for found in last["deliverables"]] == ["found"]
    text = world.rpc("report.get", day=DAY)["markdown"]
    assert "left out (too large, too deep or closed): `dump.sql`" in text
    assert "which apply does not bring over: dump.sql" in text
    assert world.write("task.apply", tasks=["a"])["created"] == ["small.txt"]
    assert not (world.project / "dump.sql").exists()
    tally("F12", note="a file too large for a snapshot", **check(world).counts)
