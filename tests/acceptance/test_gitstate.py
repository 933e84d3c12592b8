"""
A change of what git keeps for an agent's tree ends its agent, whatever made it; what people and other tasks do ends none.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from kit.script import DAY, bash, gate, say, scenario, task, write
from kit.versions import oldest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@y.z")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("version", ["bundled", "oldest"])
def test_staging_behind_our_back(make_world, version):
    binary = oldest() if version == "oldest" else version
    steps = [write("new.txt", "new"), gate("working"), say("Done.")]
    world = make_world([scenario("a", *steps)], config={"agent": {"binary": binary}})
    world.submit(task("a"))
    world.gate.arrive("working")
    # As a program would that no text tells of.
    git(world.workspace("a") / "tree", "add", "new.txt")
    assert world.wait() == {"a": "failed"}
    assert world.status("a")["outcome"] == "violation"
    (seen,) = [e["event"] for e in world.events("run.violation_seen")]
    assert (seen["rule"], seen["seen_by"], seen["tool"]) == ("git", "watch", "Bash")
    assert "index changed" in seen["evidence"]
    assert "gate.py working" in seen["evidence"]
    assert "index changed" in world.orchctl("report", "--json").json["markdown"]


@pytest.mark.parametrize("after", ["compaction", "resume"])
def test_it_is_watched_in_a_conversation_that_was_summed_up_or_taken_up_again(make_world, after):
    first = bash("echo 1", usage={"input": 990_000}) if after == "compaction" else gate("killed")
    world = make_world([scenario("a", first, write("new.txt", "new"), gate("working"), bash("echo 2"), say("Done."))])
    world.submit(task("a", model="claude-sonnet-5-5"))
    if after == "resume":
        world.gate.arrive("killed")
        world.kill()
        os.kill(world.agent_pid("a/1"), signal.SIGKILL)
        world.start()
    run = "a/2" if after == "resume" else "a/1"
    world.gate.arrive("working")
    output = (world.run_dir(run) / "stdout.jsonl").read_text()
    assert ('"compact_boundary"' in output) == (after == "compaction")
    git(world.workspace("a") / "tree", "add", "new.txt")
    assert world.wait() == {"a": "failed"}
    (seen,) = [e["event"] for e in world.events("run.violation_seen")]
    assert (seen["run"], seen["rule"], seen["seen_by"]) == (f"{DAY}/{run}", "git", "watch")
    assert "gate.py working" in seen["evidence"]
    assert not [e for e in world.events("run.tool_called") if e["event"]["target"] == "echo 2"]


def test_files_that_a_program_deletes_unseen(make_world):
    """
    Nothing of it is in the command line or in a script of the agent's: the project's own program does it.  The person may bring the
    files back, and allow it.
    """
    cleaner = "import os, sys\nfor name in sys.argv[1:]:\n    os.unlink(name)\n"
    steps = [bash("python tidy.py src/app.py"), write("late.txt", "late"), say("Done.")]
    world = make_world(
        [scenario("a", *steps)],
        files={"tidy.py": cleaner},
    )
    world.submit(task("a", retries=0))
    assert world.wait() == {"a": "failed"}
    (seen,) = [e["event"] for e in world.events("run.violation_seen")]
    assert (seen["rule"], seen["seen_by"], seen["target"]) == ("delete", "watch", "src/app.py is gone")
    assert "Bash python tidy.py src/app.py" in seen["evidence"]
    tree = world.workspace("a") / "tree"
    assert not (tree / "src" / "app.py").exists()
    assert world.orchctl("restore", "a").code == 0
    assert (tree / "src" / "app.py").exists()
    assert world.orchctl("retry", "a", "--allow", "a/1.1").code == 0
    assert world.wait() == {"a": "succeeded"}
    assert len(world.events("run.violation_seen")) == 1


def test_what_people_and_other_tasks_do_ends_nobody(make_world):
    def busy(name: str) -> dict:
        return scenario(name, write(f"{name}.txt", name), gate(name), bash("git status; git diff"), say("Done."))

    world = make_world([busy("a"), busy("b"), scenario("c", write("c.txt", "c"), say("Done."))])
    world.submit(task("a"), task("b"), task("c"))
    first, second = world.gate.arrive("a"), world.gate.arrive("b")
    # The person works on, and another task begins and ends meanwhile.
    (world.project / "mine.txt").write_text("mine")
    git(world.project, "add", "mine.txt")
    git(world.project, "commit", "-qm", "mine")
    git(world.project, "checkout", "-qb", "other")
    git(world.project, "config", "user.name", "me")
    first.release()
    second.release()
    assert world.wait() == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
    assert world.events("run.violation_seen") == []
    # What was there at the beginning is written down for a daemon that comes later.
    told = json.loads((world.run_dir("a/1") / "gitstate.json").read_text())
    assert {"HEAD", "index", ".git"} <= told["own"].keys()


@pytest.mark.parametrize("path", [".mcp.json", "sub/.claude/settings.json", "CLAUDE.local.md"])
def test_settings_of_agents_that_a_program_leaves_in_the_work(make_world, path):
    """
    No call names them; who took the work over would run what they say.
    """
    seed = "import os, sys\nname = sys.argv[1][::-1]\nos.makedirs(os.path.dirname(name) or '.', exist_ok=True)\nopen(name, 'w')\n"
    spelt = path[::-1]
    world = make_world(
        [
            scenario("a", write("mine.txt", "mine"), bash(f"python seed.py {spelt}"), say("Done.")),
            scenario("b", write("docs/CLAUDE.md", "mine"), say("Done.")),
        ],
        files={"seed.py": seed},
    )
    world.submit(task("a"), task("b"))
    assert world.wait() == {"a": "failed", "b": "succeeded"}
    (seen,) = [e["event"] for e in world.events("run.violation_seen")]
    assert (seen["rule"], seen["seen_by"], seen["target"]) == ("exec-unknown", "watch", f"{path} was changed")
    status = world.status("a")
    assert status["outcome"] == "violation"
    assert path in status["why"]
    assert "cannot be allowed" in world.orchctl("retry", "a", "--allow", "1.1").err
