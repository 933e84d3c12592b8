"""
F40: the daemon dies by SIGKILL while a tree is kept, before that is recorded, while a tree is removed, and while one is put back.
Nothing of an agent's is lost by it, no call is made before what it may destroy is kept, and what was broken off is done again.
"""

from __future__ import annotations

import signal
import subprocess

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, result, say, stream, tool, write
from harness.world import GONE
from kit.script import DAY, task

pytestmark = pytest.mark.slow
BY_CALLS = {"snapshots": {"interval": "1h"}}
"""By time a tree is kept but once in a daemon's life, at its beginning."""


def kept(world, path: str, *occasions: str) -> list[str]:
    """
    What *path* held in each recorded snapshot for these *occasions*, or any, oldest first, where it was there.
    """
    git = ("git", "-C", str(world.home / "var" / "git" / "work.git"))
    found = []
    for fact in world.events("task.snapshot_taken"):
        if not occasions or fact["event"]["occasion"] in occasions:
            show = [*git, "show", f"{fact['event']['commit']}:{path}"]
            shown = subprocess.run(show, capture_output=True, text=True, check=False)
            found += [shown.stdout] if shown.returncode == 0 else []
    return found


@pytest.mark.parametrize("point", ["snapshot.begun", "snapshot.taken.before_name", "snapshot.kept.before_record"])
def test_killed_before_a_call_is_kept(fault_world, tally, point):
    """
    Whatever was done of the snapshot, the call that waits for it is made only once it is recorded.
    """
    world = fault_world(config=BY_CALLS, start=False)
    # The first is by time.
    world.start(f"{point}=kill@2")
    remove = tool("Bash", gate="made", input={"command": "pytest -q"})
    world.script("a", [gate("first"), write("precious.txt", "hours"), remove, say()])
    world.submit_tasks(task("a"), day=DAY)
    first = world.gate.arrive("first")
    world.wait_event("task.snapshot_taken")
    first.release()
    assert world.died() == -signal.SIGKILL
    said = (world.run_dir("a/1") / "stdin.jsonl").read_bytes()
    assert said.count(b'"allow"') == 1, "only the file was to be written yet"
    world.start()
    made = world.gate.arrive("made")
    assert "hours" in kept(world, "precious.txt"), "it was made before what it destroys was kept"
    made.release()
    assert world.wait() == {"a": "succeeded"}
    tally("F40", kills=1, note=point, **check(world).counts)


@pytest.mark.parametrize("point", ["restore.kept", "restore.removed", "restore.placed.before_record"])
def test_killed_while_a_tree_is_put_back(fault_world, tally, point):
    world = fault_world(config=BY_CALLS)
    world.script("a", [gate("first"), write("b.txt", "by the agent"), say()])
    world.submit_tasks(task("a"), day=DAY)
    first = world.gate.arrive("first")
    world.wait_event("task.snapshot_taken")
    first.release()
    assert world.wait() == {"a": "succeeded"}
    tree = world.workspace("a") / "tree"
    (tree / "later.txt").write_text("by the person")
    (tree / "README.md").write_text("overwritten")
    commit = world.events("task.snapshot_taken")[0]["event"]["commit"]
    world.kill()
    world.start(f"{point}=kill")
    with pytest.raises(GONE):
        world.rpc("task.restore", task="a", at=commit, request_id="r")
    assert world.died() == -signal.SIGKILL
    world.start()
    assert not world.events("task.tree_restored")
    done = world.rpc("task.restore", task="a", at=commit, request_id="r")
    assert done["commit"] == commit
    assert not (tree / "b.txt").exists()
    assert not (tree / "later.txt").exists()
    assert (tree / "README.md").read_text() != "overwritten"
    assert list(tree.parent.glob(".restore-*")) == []
    # All that was there is, in some snapshot.
    assert "by the agent" in kept(world, "b.txt", "restore")
    assert "by the person" in kept(world, "later.txt", "restore")
    assert "overwritten" in kept(world, "README.md", "restore")
    assert len(world.events("task.tree_restored")) == 1
    tally("F40", kills=2, note=point, **check(world).counts)


@pytest.mark.parametrize("point", ["tree.proved", "tree.removed"])
def test_killed_while_a_tree_is_removed(fault_world, tally, point):
    world = fault_world(config=BY_CALLS, files={".gitignore": ".env.local\n"}, start=False)
    world.start(f"{point}=kill")
    gave_up = result(is_error=True, terminal_reason="error", result="I cannot do it.")
    world.script(
        "a",
        [stream(1), write("precious.txt", "work"), write(".env.local", "KEY=1"), gave_up],
        [stream(1), say()],
    )
    world.submit_tasks(task("a", retries=1), day=DAY)
    assert world.died() == -signal.SIGKILL
    world.start()
    assert world.wait() == {"a": "succeeded"}
    # What is ignored comes back, too.
    assert {"precious.txt", ".env.local"} <= world.left()
    removed = [fact["event"]["commit"] for fact in world.events("task.tree_removed")]
    taken = [fact["event"]["commit"] for fact in world.events("task.snapshot_taken")]
    assert removed
    assert set(removed) <= set(taken)
    tally("F40", kills=1, note=point, **check(world).counts)


MUTANTS = (
    Mutant(
        "a call is made before the tree is kept",
        file="runner/keeper.py",
        old="            if held.kept.done.is_set() or late:\n",
        new="            if True:\n",
        test="test_killed_before_a_call_is_kept[snapshot.kept.before_record]",
    ),
    Mutant(
        "a snapshot is recorded that no ref keeps",
        file="workspace/repository.py",
        old="        await self.keep(kept, name(kept.commit))\n",
        new="",
        test="test_killed_before_a_call_is_kept[snapshot.taken.before_name]",
    ),
    Mutant(
        "what was there is not kept before another is put back",
        file="services/snapshots.py",
        old="        if present and last is not None and last.tree_id == taken.tree_id:\n",
        new="        if last is not None:\n",
        test="test_killed_while_a_tree_is_put_back[restore.removed]",
    ),
    Mutant(
        "what a restore left half-way stays",
        file="workspace/restoring.py",
        old='    for stray in tree.parent.glob(f"{ASIDE}*"):\n',
        new="    for stray in ():\n",
        test="test_killed_while_a_tree_is_put_back[restore.removed]",
    ),
    Mutant(
        "that a tree is removed is told by nothing",
        file="services/snapshots.py",
        old="            await self._store.record(ev.TreeRemoved(task=task.key, commit=expendable.commit))\n",
        new="            pass\n",
        test="test_killed_while_a_tree_is_removed[tree.removed]",
    ),
    Mutant(
        "what is ignored goes with the tree",
        file="workspace/listing.py",
        old="        loose += (inside + path for path in more.files)\n",
        new="",
        test="test_killed_while_a_tree_is_removed[tree.proved]",
    ),
)
