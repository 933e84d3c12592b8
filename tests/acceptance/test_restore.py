"""
What an agent deleted or overwrote comes back: with the real CLI, the real client and the real git.
"""

from __future__ import annotations

import time

import pytest
from kit.rpc import RpcError
from kit.script import DAY, bash, call, gate, say, scenario, task, use, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DELETES = "import shutil, pathlib; shutil.rmtree('src'); pathlib.Path('mine.txt').unlink(); pathlib.Path('.env.local').unlink()"
"""What no policy can see in a test's code."""


def test_what_an_agent_deleted_comes_back(make_world):
    world = make_world(
        [
            scenario(
                "a",
                write("mine.txt", "hours of work\n"),
                write("cleanup.py", DELETES + "\n"),
                bash("python3 -m pytest -q -p no:cacheprovider cleanup.py"),
                gate("deleted"),
                say("Done."),
            )
        ],
        files={".gitignore": ".env.local\n"},
        # Only calls bring about a snapshot: nothing here comes by time.
        config={
            "snapshots": {"interval": "1h"},
            # Or the agent would be halted for it.
            "policy": {"rules": [{"allow": "python3 -m pytest *"}]},
            "worktree": {"setup": ["printf 'KEY=1\\n' > .env.local; chmod 600 .env.local"]},
        },
    )
    world.submit(task("a"))
    held = world.gate.arrive("deleted")
    tree = world.workspace("a") / "tree"
    assert not (tree / "src").exists()
    assert not (tree / "mine.txt").exists()
    assert not (tree / ".env.local").exists()
    refused = world.orchctl("restore", "a")
    assert refused.code == 4
    assert "the agent of 2026-11-22/a is at work in its tree" in refused.err
    assert "orchctl cancel" in refused.err
    aside = world.orchctl("restore", "a", "--into", str(world.root / "aside"), "--at", "1s", "--json")
    assert aside.code in (0, 5), aside
    held.release()
    assert world.wait() == {"a": "succeeded"}

    listed = world.orchctl("restore", "a", "--list", "--json").json
    calls = [snapshot for snapshot in listed["snapshots"] if snapshot["occasion"] == "call"]
    assert calls, listed
    before = untouched(world)
    # As it was just before the call that deleted: what is shown of a time can be given back.
    wanted = world.events("task.snapshot_taken")
    deleting = next(
        e for e in wanted if e["event"]["occasion"] == "call" and "mine.txt" in names(world, e["event"]["commit"])
    )
    at = next(s["at"] for s in listed["snapshots"] if s["commit"] == deleting["event"]["commit"])
    done = world.orchctl("restore", "a", "--at", at)
    assert done.code == 0, done
    assert "put back" in done.out

    assert (tree / "mine.txt").read_text() == "hours of work\n"
    assert (tree / "src" / "app.py").exists()
    assert (tree / ".env.local").read_text() == "KEY=1\n"
    assert (tree / ".env.local").stat().st_mode & 0o777 == 0o600
    assert untouched(world) == before
    # It is a fact, it is shown, and the work that can be taken over is the restored one.
    fact = world.events("task.tree_restored")[-1]["event"]
    assert fact["commit"] == deleting["event"]["commit"]
    assert fact["before"]
    assert "task.tree_restored" in world.orchctl("events").out
    assert "Restored" in world.orchctl("status", "a").out
    assert "mine.txt" in world.orchctl("diff", "a", "--stat").out
    assert "src" not in world.orchctl("diff", "a", "--stat").out
    # And back again, and by name.
    assert world.orchctl("restore", "a").code == 0
    assert not (tree / "mine.txt").exists()
    assert "src" in world.orchctl("diff", "a", "--stat").out
    assert world.orchctl("restore", "a", "--at", deleting["event"]["commit"][:12]).code == 0
    assert (tree / "mine.txt").exists()
    assert world.orchctl("doctor", "--deep").code == 0


def test_a_tree_that_is_gone_is_made_anew(make_world):
    world = make_world(
        [scenario("a", write("b.txt", "b\n"), bash("python3 -c 'print(1)'"), say("Done."))],
    )
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    import shutil

    tree = world.workspace("a") / "tree"
    shutil.rmtree(tree)
    done = world.orchctl("restore", "a", "--json")
    assert done.code == 0, done
    assert done.json["before"] is None
    assert (tree / "b.txt").read_text() == "b\n"
    into = world.root / "elsewhere"
    assert world.orchctl("restore", "a", "--into", str(into)).code == 0
    assert (into / "b.txt").read_text() == "b\n"
    # Never the person's project, nor our own folder.
    for place in (world.project / "new", world.home / "var" / "new"):
        refused = world.orchctl("restore", "a", "--into", str(place))
        assert refused.code == 4, refused
        assert not place.exists()
    assert world.orchctl("restore", "a", "--at", "9d").code == 5
    assert world.orchctl("restore", "a", "--at", "soon").code == 4
    assert world.orchctl("restore", "nobody").code == 5
    # The same request, once more, does nothing more.
    params = {"task": f"{DAY}/a", "request_id": "once"}
    first = world.rpc("task.restore", **params)
    count = len(world.events("task.tree_restored"))
    assert world.rpc("task.restore", **params) == first
    assert len(world.events("task.tree_restored")) == count
    with pytest.raises(RpcError):
        world.rpc("task.restore", task=f"{DAY}/a", into="relative")
    assert world.orchctl("doctor", "--deep").code == 0


def test_a_call_waits_for_its_snapshot_and_no_longer(make_world):
    world = make_world(
        [
            scenario(
                "a",
                bash("ls"),
                bash("cat README.md"),
                call(use("Bash", command='python3 -c \'open("x","w")\'', description="one")),
                bash("python3 -c 'print(2)'"),
                say("Done."),
            )
        ],
        config={"snapshots": {"interval": "1h"}},
    )
    began = time.monotonic()
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    took = time.monotonic() - began
    facts = world.events("run.tool_called", "task.snapshot_taken", "run.tool_returned")
    for fact in facts:
        if fact["type"] == "task.snapshot_taken" and fact["event"]["occasion"] == "call":
            call_id = fact["event"]["call"]
            returned = next(
                f["seq"] for f in facts if f["type"] == "run.tool_returned" and f["event"]["call"] == call_id
            )
            assert fact["seq"] < returned, "it was kept before the call was made"
    assert any(f["type"] == "task.snapshot_taken" and f["event"]["occasion"] == "call" for f in facts)
    assert took < 120


def untouched(world) -> tuple[str, ...]:
    return (world.git("rev-parse", "HEAD"), world.git("for-each-ref"), world.git("status", "--porcelain"))


def names(world, commit: str) -> str:
    import subprocess

    git = ["git", "-C", str(world.home / "var" / "git" / "work.git"), "ls-tree", "-r", "--name-only", commit]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout
