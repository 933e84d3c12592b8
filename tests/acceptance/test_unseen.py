"""
What a program does while nobody looks is found all the same: at the next look, by the next daemon, or when the run ends.
"""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.processes import until
from kit.script import DAY, bash, call, gate, say, scenario, task, use, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
TIDY = "import os, sys\nfor name in sys.argv[1:]:\n    os.unlink(name)\n"
"""A program of the project's own: nothing of what it deletes is in its text."""
LATE = """\
import os, sys, time
part = __import__("sub" + "process")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        time.sleep(1.5)
        part.run([word[::-1] for word in sys.argv[1:]])
    os._exit(0)
"""
"""It leaves a process behind that does what its arguments say, from the back."""


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@y.z")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def seen(world: Any) -> list[tuple[str, str, str, str]]:
    found = [e["event"] for e in world.events("run.violation_seen")]
    return [(one["run"], one["rule"], one["seen_by"], one["target"]) for one in found]


@pytest.mark.parametrize(
    "how", [("commit", "-q", "--allow-empty", "-m", "x"), ("add", "new.txt")], ids=lambda how: how[0]
)
def test_git_while_no_daemon_lived(make_world, how):
    steps = [write("new.txt", "new"), gate("working"), bash("echo 2"), say("Done.")]
    world = make_world([scenario("a", *steps)])
    world.submit(task("a", retries=0))
    held = world.gate.arrive("working")
    world.kill()
    git(world.workspace("a") / "tree", *how)
    world.start()
    held.release()
    assert world.wait() == {"a": "failed"}
    ((run, rule, by, target),) = seen(world)
    assert (run, rule, by) == (f"{DAY}/a/1", "git", "watch")
    assert "changed" in target


def test_a_daemon_that_died_after_the_halt_and_before_its_record(make_world):
    """
    The journal was held by another program; the agent was ended for what it had done.
    """
    steps = [write("new.txt", "new"), gate("working"), bash("echo 2"), say("Done.")]
    world = make_world([scenario("a", *steps, say("Done."))])
    world.submit(task("a", retries=1))
    world.gate.arrive("working")
    other = sqlite3.connect(world.home / "var" / "orchestrd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    git(world.workspace("a") / "tree", "commit", "-q", "--allow-empty", "-m", "x")
    until(lambda: not world.agents())
    world.kill()
    other.execute("ROLLBACK")
    other.close()
    world.start()
    assert world.wait() == {"a": "failed"}
    assert world.status("a")["outcome"] == "violation"
    assert [one[:3] for one in seen(world)] == [(f"{DAY}/a/1", "git", "watch")]


def test_a_file_of_its_own_is_no_leave_for_others(make_world):
    """
    What it made itself it may delete; by then the rules alone would say otherwise, and no person has.
    """
    steps = [write("mine.txt", "mine"), bash("rm mine.txt; python tidy.py src/app.py"), bash("echo 2"), say("Done.")]
    world = make_world([scenario("a", *steps)], files={"tidy.py": TIDY})
    world.submit(task("a", retries=0))
    assert world.wait() == {"a": "failed"}
    assert seen(world) == [(f"{DAY}/a/1", "delete", "watch", "src/app.py is gone")]


def test_leave_for_something_else_is_none_to_delete(make_world):
    steps = [bash("ls /srv; python tidy.py src/app.py"), bash("echo 2"), say("Done.")]
    rules = {"rules": [{"ask": "ls /srv"}]}
    world = make_world([scenario("a", *steps)], files={"tidy.py": TIDY}, config={"policy": rules})
    world.submit(task("a", retries=0))
    world.wait_event("question.asked")
    assert world.orchctl("answer", "a", "--option", "A").code == 0
    assert world.wait() == {"a": "failed"}
    assert seen(world) == [(f"{DAY}/a/1", "delete", "watch", "src/app.py is gone")]


@pytest.mark.parametrize("dies", [False, True])
def test_leave_for_a_change_of_git(make_world, dies):
    """
    Given for one call, by a person who was asked.  A daemon that comes later knows of it from what it reads again.
    """
    steps = [bash("git tag v1"), gate("tagged"), say("Done.")]
    world = make_world([scenario("a", *steps)], config={"policy": {"rules": [{"ask": "git tag *"}]}})
    world.submit(task("a", retries=0))
    world.wait_event("question.asked")
    assert world.orchctl("answer", "a", "--option", "A").code == 0
    held = world.gate.arrive("tagged")
    if dies:
        world.kill()
        world.start()
    held.release()
    assert world.wait() == {"a": "succeeded"}
    assert seen(world) == []


def test_a_run_that_is_stopped_for_something_else(make_world):
    """
    The login of all agents is gone: they are stopped, to be taken up again.  In the background a file was deleted.
    """
    gone = {"error": {"status": 401, "headers": {"x-should-retry": "false"}, "times": 1}}
    behind = use("Bash", command="python tidy.py src/app.py; sleep 100", description="x", run_in_background=True)
    world = make_world(
        [
            scenario("a", call(behind), gate("working"), bash("echo 2"), say("Done."), say("Done.")),
            scenario("b", say("x", **gone), say("Done."), say("Done.")),
        ],
        files={"tidy.py": TIDY},
    )
    world.submit(task("a", retries=0))
    world.gate.arrive("working")
    until(lambda: not (world.workspace("a") / "tree" / "src" / "app.py").exists())
    world.submit(task("a", retries=0), task("b", retries=0))
    world.wait_event("run.exited", lambda e: e["run"].endswith("a/1"))
    assert seen(world) == [(f"{DAY}/a/1", "delete", "watch", "src/app.py is gone")]
    assert world.status("a")["outcome"] == "violation"
    assert len(world.events("run.started")) == 2


def test_a_folder_that_is_made_to_look_old(make_world):
    hides = f"{TIDY}for folder in {{os.path.dirname(name) for name in sys.argv[1:]}}:\n    os.utime(folder, (1, 1))\n"
    before = "import os\nos.utime('src', (1, 1))\n"
    steps = [bash("python before.py"), bash("echo 1"), bash("python tidy.py src/app.py"), bash("echo 2"), say("Done.")]
    world = make_world([scenario("a", *steps)], files={"tidy.py": hides, "before.py": before})
    world.submit(task("a", retries=0))
    assert world.wait() == {"a": "failed"}
    assert seen(world) == [(f"{DAY}/a/1", "delete", "watch", "src/app.py is gone")]


def test_what_a_process_that_was_left_behind_does_to_the_repository(make_world):
    words = " ".join(word[::-1] for word in ("git", "tag", "live"))
    steps = [
        bash(f"python late.py {words}"),
        call(use("Read", file_path="{tree}/README.md"), delay=3.0),
        bash("echo 2", delay=1.0),
        write("x.txt", "x"),
        say("Done."),
    ]
    world = make_world([scenario("a", *steps)], files={"late.py": LATE})
    world.submit(task("a", retries=0))
    assert world.wait() == {"a": "failed"}
    assert [one[1:3] for one in seen(world)] == [("git", "watch")]
    assert "refs/tags/live" in seen(world)[0][3]
