"""
F10: the home's state is moved away, or becomes read-only, under a live daemon: a clear error, exit 74, agents untouched.  A
home that is moved while none serves it is the same home elsewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from harness import script
from harness.check import check
from harness.mutant import Mutant
from kit.files import wait_file
from kit.ground import Ground
from kit.processes import alive
from kit.script import DAY, task

from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MUTANTS = (
    Mutant(
        "nobody looks whether the home is still there",
        file="daemon.py",
        old="            loops.start_soon(_watch_home, daemon.home, daemon.lock)\n",
        new="",
        test="test_moved_away_and_put_back",
    ),
    Mutant(
        "a run whose directory is gone is taken for dead at once",
        file="runner/liveness.py",
        old="MISSING_SECONDS = 6.0\n",
        new="MISSING_SECONDS = 0.0\n",
        test="test_moved_away_and_put_back",
    ),
    Mutant(
        "whatever lies at the lock's path will do",
        file="storage/home.py",
        old="        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)\n",
        new="        return found.st_dev == held.st_dev\n",
        test="test_replaced_by_another",
    ),
    Mutant(
        "trees are looked for where the home was",
        file="storage/home.py",
        old="        return own if Path(known).match(str(own.relative_to(self.root))) else Path(known)\n",
        new="        return Path(known)\n",
        test="test_a_home_that_was_moved_goes_on_where_it_is",
    ),
    Mutant(
        "a copy leads to the original's daemon",
        file="address.py",
        old="        if Path(said).name == name or holder(lock) is not None:\n",
        new="        if True:\n",
        test="test_a_copy_is_another_home",
    ),
    Mutant(
        "whatever listens where the last daemon did is this home's",
        file="address.py",
        old="        if Path(said).name == name or",
        new="        if Path(said).suffix == '.sock' or",
        test="test_a_home_that_was_moved_is_not_the_one_in_its_old_place",
    ),
    Mutant(
        "agents of a home that was here before are ended",
        file="services/sweeper.py",
        old='                log.warning("run.unknown", run=run)\n',
        new='                log.warning("run.unknown", run=run)\n                await self._end_tree(path)\n',
        test="test_a_home_that_was_moved_is_not_the_one_in_its_old_place",
    ),
    Mutant(
        "nobody leads the repository to the trees again",
        file="daemon.py",
        old="        await worktree.follow(repo, home.workspaces)\n",
        new="",
        test="test_a_home_that_was_moved_goes_on_where_it_is",
    ),
    Mutant(
        "only a missing permission keeps a daemon from its lock",
        file="storage/home.py",
        old='        except OSError as error:\n            raise StorageError(f"{self.lock_file}: {error.strerror}") from error\n',
        new='        except PermissionError as error:\n            raise StorageError(f"{self.lock_file}: {error.strerror}") from error\n',
        test="test_read_only_under_it",
    ),
)


def at_work(world):
    """
    One agent that waits at the gate in the midst of its work: who waits there, and the agent's process id.
    """
    world.script("a", [script.stream(3), script.tool("Bash", gate="held"), script.stream(3), script.say("Done.")])
    world.submit_tasks(task("a"), day=DAY)
    return world.gate.arrive("held"), world.agent_pid("a/1")


def test_moved_away_and_put_back(fault_world, tally):
    world = fault_world()
    held, pid = at_work(world)
    var, aside = world.home / "var", world.home / "elsewhere"
    var.rename(aside)
    assert world.died() == 74
    said = world.log.read_text(encoding="utf-8")
    assert "it was removed or replaced under this daemon" in said
    assert alive(pid)
    assert not (world.home / "var" / "orchestrd.db").exists()
    if var.exists():
        subprocess.run(["rm", "-r", str(var)], check=True)
    aside.rename(var)
    world.start()
    assert world.agent_pid("a/1") == pid
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    tally(row="F10", kills=1, **check(world).counts)


def test_a_home_that_was_moved_goes_on_where_it_is(fault_world, tally):
    """
    Of a run that was under way what it left is kept, its task is tried again, and what was done before can be shown.
    """
    world = fault_world()
    world.script("done", [script.write("done.txt", "done"), script.say()])
    world.script("a", [script.write("a.txt", "first"), script.gate("held")], [script.write("b.txt", "b"), script.say()])
    world.submit_tasks(task("done"), task("a"), day=DAY)
    held = world.gate.arrive("held")
    assert world.wait(f"{DAY}/done") == {"done": "succeeded"}
    world.kill()
    os.kill(held.pid, signal.SIGKILL)
    wait_file(world.run_dir("a/1") / "exit.json", bytes)
    world.home = world.home.rename(world.root / "moved")
    world.start()
    assert world.wait() == {"done": "succeeded", "a": "succeeded"}
    assert "run.tree_replaced" not in world.log.read_text(encoding="utf-8")
    # The CLI finds no conversation under another path: after one try that says so the task begins anew.
    first, *_, last = [e["event"] for e in world.events("run.exited") if e["run"].startswith(f"{DAY}/a/")]
    assert [change["path"] for change in first["files"]] == ["a.txt"]
    assert "b.txt" in [change["path"] for change in last["files"]]
    tree = world.workspace("a") / "tree"
    assert (tree / "b.txt").is_file()
    assert (tree / ".git").read_text() == f"gitdir: {world.home}/var/git/work.git/worktrees/{entry_name(tree)}\n"
    shown = world.orchctl("diff", "done")
    assert "done.txt" in shown.out
    assert world.orchctl("apply", "a").code == 0
    assert not problems(check_home(world.home, environ=world.environ))
    tally(row="F10", kills=1, note="the home was moved")


@pytest.mark.parametrize("served", [True, False], ids=["daemon up", "daemon down"])
def test_a_copy_is_another_home(fault_world, tally, served):
    """
    What is asked of a copy is not done in the original, whose daemon's socket is written in the lock file that was copied.
    """
    world = fault_world()
    held, pid = at_work(world)
    if not served:
        assert world.stop() == 0
    copy, own = world.root / "copy", world.home
    subprocess.run(["cp", "-a", own, copy], check=True)
    if not served:
        world.start()
    asked = [("status",), ("retry", "a"), ("cancel", "a"), ("freeze",), ("thaw",), ("daemon", "stop")]
    world.home = copy
    try:
        done = {words: world.orchctl(*words) for words in asked}
    finally:
        world.home = own
    assert done["status",].code == 3
    assert alive(pid)
    assert world.status("a")["state"] == "running"
    assert not world.events("home.frozen", "task.cancelled", "daemon.stopped")[int(not served) :]
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    tally(row="F10", **check(world).counts, note="a copy beside it")


def test_a_home_that_was_moved_is_not_the_one_in_its_old_place(fault_world, tally):
    """
    Its lock file names a socket on which another home's daemon listens by now.
    """
    world = fault_world()
    held, pid = at_work(world)
    world.kill()
    moved, own = world.root / "moved", world.home
    own.rename(moved)
    subprocess.run(["cp", "-a", moved, own], check=True)
    # The copy is begun anew, all but its settings.
    shutil.rmtree(own / "var")
    Ground.start(world)
    world.home = moved
    try:
        assert world.orchctl("status").code == 3
        assert world.orchctl("freeze").code == 0
        assert world.events("home.frozen")
        assert world.orchctl("daemon", "stop").out.startswith("No daemon was running")
    finally:
        world.home = own
    assert world.rpc("daemon.status")["hold"] is None
    assert not world.events("home.frozen", "daemon.stopped")
    assert alive(pid)
    assert world.stop() == 0
    shutil.rmtree(own)
    moved.rename(own)
    world.start()
    world.rpc("home.thaw", request_id="t")
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    tally(row="F10", **check(world).counts, note="another in its old place")


def entry_name(tree) -> str:
    return (tree / ".git").read_text().strip().rpartition("/")[2]


def test_replaced_by_another(fault_world):
    world = fault_world()
    _, pid = at_work(world)
    var, aside = world.home / "var", world.home / "elsewhere"
    var.rename(aside)
    var.mkdir(mode=0o700)
    (var / "orchestrd.lock").touch(0o600)
    assert world.died() == 74
    assert alive(pid)
    assert world.orchctl("status").code == 3


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_read_only_under_it(fault_world):
    world = fault_world()
    held, pid = at_work(world)
    var = world.home / "var"

    def mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True)

    mount("--bind", str(var), str(var))
    try:
        # The daemon's open files are on the mount below, which stays writable: only a start sees the new one.
        world.kill()
        mount("-o", "remount,bind,ro", str(var))
        second = world.spawn()
        assert second.wait(60) == 74
        assert alive(pid)
    finally:
        subprocess.run(["umount", str(var)], check=True)
    world.start()
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    check(world)
