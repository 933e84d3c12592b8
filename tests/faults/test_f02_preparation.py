"""
F2: the daemon dies by SIGKILL while a tree is made for an agent, by git or by the home's own commands.  They are not the
daemon's to take along, and must not go on beside the next daemon's; what they left half done is done again, and nothing that
an agent left is lost by it.
"""

from __future__ import annotations

import os
import shutil
import signal

import anyio
import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, result, say, stream, write
from kit.files import wait_file
from kit.processes import alive
from kit.project import PERSON
from kit.script import DAY, gate_command, task

from orchestrd.protocol import api
from orchestrd.services import offline

pytestmark = pytest.mark.slow

SLOW = """\
#!/bin/sh
case "$*" in
*"worktree add"*)
    if [ -e {folder}/hold ]; then
        rm {folder}/hold
        echo $$ > {folder}/pid.new && mv {folder}/pid.new {folder}/pid
        while [ ! -e {folder}/go ]; do sleep 0.02; done
    fi ;;
esac
exec {git} "$@"
"""
"""A git that stops where it is about to make a worktree, once, until it is let go."""


def test_git_that_was_left_at_work(fault_world, tally, monkeypatch, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "git"
    wrapper.write_text(SLOW.format(folder=folder, git=shutil.which("git")))
    wrapper.chmod(0o700)
    (folder / "hold").touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    world = fault_world()
    world.script("a", [stream(1), gate("on"), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    pid = int(wait_file(folder / "pid", lambda data: data))
    world.kill()
    assert alive(pid)
    world.start()
    held = world.gate.arrive("on")
    # Its tree is in use by now; who makes it a second time would take the ground from under the agent.
    assert not alive(pid)
    (world.workspace("a") / "tree" / "mine.txt").write_text("mine")
    (folder / "go").touch()
    held.release()
    assert world.wait() == {"a": "succeeded"}
    exited = world.events("run.exited")[0]["event"]
    assert [file["path"] for file in exited["files"]] == ["mine.txt"]
    tally("F2", kills=1, note="git at work on a tree", **check(world).counts)


HALF = """\
#!/bin/sh
case "$*" in
*"worktree add"*)
    if [ -e {folder}/hold ]; then
        rm {folder}/hold
        {git} "$@"
        for head in {repository}/worktrees/*/HEAD; do printf '%040d\\n' 0 > $head; done
        touch {repository}/shallow.lock
        echo $$ > {folder}/pid.new && mv {folder}/pid.new {folder}/pid
        while :; do sleep 0.02; done
    fi ;;
esac
exec {git} "$@"
"""
"""A git that stops once, where ``worktree add`` has made its entry and not said yet what is checked out in it."""


@pytest.mark.parametrize("end", ["kill", "drain", "cancel"])
def test_git_that_ends_half_way_stops_no_other(fault_world, tally, monkeypatch, tmp_path, end):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    real = shutil.which("git")
    (folder / "git").symlink_to(str(real))
    world = fault_world()
    (folder / "git").unlink()
    wrapper = folder / "git"
    wrapper.write_text(HALF.format(folder=folder, git=real, repository=world.home / "var" / "git" / "work.git"))
    wrapper.chmod(0o700)
    (folder / "hold").touch()
    for name in ("a", "b"):
        world.script(name, [stream(1), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    pid = int(wait_file(folder / "pid", lambda data: data))
    if end == "cancel":
        world.rpc("task.cancel", tasks=["a"])
        assert world.wait("a") == {"a": "cancelled"}
    else:
        world.kill() if end == "kill" else world.stop()
        world.start()
        assert world.wait("a") == {"a": "succeeded"}
    assert not alive(pid)
    # The person went on: there is something to fetch, and git looks at every entry then.
    world.git(*PERSON, "commit", "--quiet", "--allow-empty", "-m", "more")
    world.submit_tasks(task("b", retries=0), day="2026-11-23")
    assert world.wait("b") == {"b": "succeeded"}
    tally("F2", kills=end == "kill", note=f"git half-way: {end}", **check(world).counts)


SETUP = f"echo half > by-setup.txt; {gate_command('setup')} && echo whole > by-setup.txt"
"""A command that is half done while it waits at the gate, in a file that git sees."""


@pytest.mark.parametrize("end", ["kill", "drain"])
def test_a_daemon_that_ends_during_setup(fault_world, tally, end):
    world = fault_world(config={"worktree": {"setup": [SETUP]}})
    world.script("a", [stream(1), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    first = world.gate.arrive("setup")
    (world.workspace("a") / "tree" / "kept.txt").write_text("half written by the first\n")
    if end == "kill":
        world.kill()
        assert alive(first.pid)
    else:
        assert world.stop() == 0
    world.start()
    second = world.gate.arrive("setup")
    assert not alive(first.pid)
    second.release()
    assert world.wait() == {"a": "succeeded"}
    exited = world.events("run.exited")[0]["event"]
    assert [file["path"] for file in exited["files"]] == ["by-setup.txt"]
    assert (world.workspace("a") / "tree" / "by-setup.txt").read_text() == "whole\n"
    assert world.left() == set(), "what only setup made is made again"
    tally("F2", kills=end == "kill", note=f"setup: {end}", **check(world).counts)


def test_a_run_that_resumes_in_a_tree_that_is_made_anew(fault_world, tally):
    """
    The earlier run's tree is gone; the daemon dies while setup works in the new one, and dies once more when it is ready and
    nobody has written that down.  Nobody works in it before setup was done, and what the person did meanwhile is not the
    agent's.
    """
    world = fault_world(files={"kept.txt": "one\n"}, config={"worktree": {"setup": [SETUP]}})
    world.script("a", [stream(1), gate("first"), say()], [stream(1), gate("second"), write("mine.txt", "mine"), say()])
    world.submit_tasks(task("a", retries=2), day=DAY)
    world.gate.arrive("setup").release()
    world.gate.arrive("first")
    tree = world.workspace("a") / "tree"
    shutil.rmtree(tree)
    (world.project / "persons.txt").write_text("the person's\n")
    os.kill(world.agent_pid("a/1"), signal.SIGKILL)
    left = world.gate.arrive("setup")
    world.kill()
    world.start("spawn.prepared.before_record=kill")
    again = world.gate.arrive("setup")
    assert not alive(left.pid)
    again.release()
    assert world.died() == -signal.SIGKILL
    world.start()
    world.gate.arrive("setup").release()
    held = world.gate.arrive("second")
    assert (tree / "by-setup.txt").read_text() == "whole\n"
    held.release()
    assert world.wait() == {"a": "succeeded"}
    runs = world.events("run.exited")
    assert [run["event"]["outcome"] for run in runs] == ["killed", "succeeded"]
    assert [file["path"] for file in runs[1]["event"]["files"]] == ["by-setup.txt", "mine.txt"]
    tally("F2", kills=3, note="a resumed run's tree", **check(world).counts)


def test_what_was_left_in_a_tree_is_kept_through_a_kill(fault_world, tally):
    """
    A run that starts afresh has kept what the earlier one left, and the daemon dies when the tree is made anew: what is there
    then is not what that one left.
    """
    world = fault_world(config={"worktree": {"setup": [SETUP]}})
    gave_up = result(is_error=True, terminal_reason="error", result="I cannot do it.")
    world.script("a", [stream(1), write("precious.txt", "work"), gave_up], [stream(1), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    world.gate.arrive("setup").release()
    world.gate.arrive("setup")
    assert "precious.txt" in world.left()
    world.kill()
    world.start("spawn.prepared.before_record=kill")
    world.gate.arrive("setup").release()
    assert world.died() == -signal.SIGKILL
    world.start()
    world.gate.arrive("setup").release()
    assert world.wait() == {"a": "succeeded"}
    assert "precious.txt" in world.left()
    tally("F2", kills=2, note="with a new tree", **check(world).counts)


def test_a_cancel_that_was_broken_off_during_setup(fault_world, tally, monkeypatch):
    """
    The daemon is killed while setup works, and so is the `orchctl cancel` that came without a daemon, once it had written that
    down: the command does not outlive the run.
    """
    world = fault_world(config={"worktree": {"setup": [SETUP]}})
    world.script("a", [say()])
    world.submit_tasks(task("a"), day=DAY)
    left = world.gate.arrive("setup")
    world.kill()

    async def nothing(*_: object, **__: object) -> str:
        return ""

    monkeypatch.setattr(offline, "take_down", nothing)
    names = api.TaskNames(tasks=["a"], request_id="r")
    anyio.run(offline.cancel, world.home, names)
    assert alive(left.pid)
    world.start()
    assert world.wait() == {"a": "cancelled"}
    assert not alive(left.pid)
    assert not world.events("run.swept")
    tally("F2", kills=2, note="setup: cancel", **check(world).counts)


MUTANTS = (
    Mutant(
        "what a killed daemon left at work in the repository goes on",
        file="daemon.py",
        old='left = await anyio.to_thread.run_sync(end_marked, GIT_MARK, os.path.realpath(home.git / "work.git"))',
        new="left: list[str] = []",
        test="test_git_that_was_left_at_work",
    ),
    Mutant(
        "an entry that a killed git left stays",
        file="workspace/entries.py",
        old='        if common == COMMON.strip() and head.strip("0"):\n',
        new="        if True:\n",
        test="test_git_that_ends_half_way_stops_no_other[kill]",
    ),
    Mutant(
        "an entry that a cancelled git left stays",
        file="workspace/repository.py",
        old="                    await anyio.to_thread.run_sync(settle, self.path)\n",
        new="                    pass\n",
        test="test_git_that_ends_half_way_stops_no_other[cancel]",
    ),
    Mutant(
        "a killed daemon's setup goes on in the tree",
        file="services/preparation.py",
        old="            await end_commands(RunDir(self._home.run_dir(row.key)))\n",
        new="            pass\n",
        test="test_a_daemon_that_ends_during_setup[kill]",
    ),
    Mutant(
        "a tree counts as made before it is furnished",
        file="workspace/worktree.py",
        old="    if furnish is not None:\n        await furnish()\n    await anyio.to_thread.run_sync(entries.mark, repo.path, path, commit)\n",
        new="    await anyio.to_thread.run_sync(entries.mark, repo.path, path, commit)\n    if furnish is not None:\n        await furnish()\n",
        test="test_a_daemon_that_ends_during_setup[drain]",
    ),
    Mutant(
        "a run goes on in a tree that was made from something else",
        file="services/preparation.py",
        old="((whole and made == earlier[-1]) or ",
        new="(whole or ",
        test="test_a_run_that_resumes_in_a_tree_that_is_made_anew",
    ),
    Mutant(
        "what was left takes the place of what was left before",
        file="workspace/snapshots.py",
        old='return ref_name("orchestrd", *task.split("/"), "snapshot", commit)',
        new='return ref_name("orchestrd", *task.split("/"), "snapshot", "last")',
        test="test_what_was_left_in_a_tree_is_kept_through_a_kill",
    ),
    Mutant(
        "a run may end before its setup",
        file="runner/takedown.py",
        old="    finally:\n        await anyio.to_thread.run_sync(end_heirs, rundir)\n",
        new="    finally:\n        pass\n",
        test="test_a_cancel_that_was_broken_off_during_setup",
    ),
)
