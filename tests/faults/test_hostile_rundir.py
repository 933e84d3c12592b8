"""
An agent takes its own run directory apart, or a home is named in another way: that may cost its run, never the daemon, the
other agents, or the person's means to stop everything.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from harness.check import check
from harness.lone import tool_call
from harness.mutant import Mutant
from harness.script import deaf, gate, leave, say, stream, stubborn, write
from harness.world import GONE
from kit.ground import Ground
from kit.processes import alive, until
from kit.rpc import Link
from kit.script import DAY, task

from factories import RUN
from orchestrd.domain.model import Outcome
from orchestrd.runner.guard import HINDERED_SECONDS
from orchestrd.runner.launch import SHIM

MUTANTS = (
    Mutant(
        "only a tree that is still a worktree holds work",
        file="services/preparation.py",
        old="left = made or await anyio.to_thread.run_sync(worktree.made_from, repo, tree)",
        new="left = made",
        test="test_a_tree_without_its_pointer",
    ),
    Mutant(
        "whatever looks like a number is an attempt",
        file="storage/home.py",
        old="if _ATTEMPT.fullmatch(name)",
        new="if name.isdigit()",
        test="test_folders_that_look_like_attempts",
    ),
    Mutant(
        "the next attempt is one above the highest number there is",
        file="services/scheduler.py",
        old="next(number for number in count(task.attempts + 1) if number not in taken)",
        new="max(task.attempts, *taken) + 1",
        test="test_folders_far_ahead",
    ),
    Mutant(
        "what an agent has put where the next run would be is taken for it",
        file="services/scheduler.py",
        old="next(number for number in count(task.attempts + 1) if number not in taken)",
        new="task.attempts + 1",
        test="test_folders_far_ahead",
    ),
    Mutant(
        "a link among the runs of a task is followed",
        file="services/sweeper.py",
        old="for rundir in dirs if not rundir.path.is_symlink()",
        new="for rundir in dirs",
        test="test_folders_far_ahead",
    ),
    Mutant(
        "what lies in a live run's directory says that it never began",
        file="services/runs.py",
        old="if not begun(rundir, row, cursor) and (why :=",
        new="if (why :=",
        test="test_a_live_run_that_is_said_to_be_given_up",
    ),
    Mutant(
        "a way to the shim that is closed is no trouble",
        file="runner/guard.py",
        old="        elif not leaving and (mute := self._mute()):\n",
        new="        elif (mute := '1') == '2':\n",
        test="test_an_agent_that_can_be_told_nothing[control.fifo-deleted]",
    ),
    Mutant(
        "whoever is slow to listen is ended",
        file="runner/guard.py",
        old="now - self._hindered > HINDERED_SECONDS else",
        new="now - self._hindered > -1.0 else",
        test="test_a_shim_that_does_not_listen_yet",
    ),
    Mutant(
        "one FIFO is as good as another",
        file="storage/rundir.py",
        old="        return file == self._way\n",
        new="        return stat.S_ISFIFO(found.st_mode)\n",
        test="test_an_agent_that_can_be_told_nothing[control.fifo-replaced]",
    ),
    Mutant(
        "one spool is as good as another",
        file="storage/spool.py",
        old=" or self._file not in (None, (found.st_dev, found.st_ino)):",
        new=":",
        test="test_an_agent_that_can_be_told_nothing[stdin.jsonl-replaced]",
    ),
    Mutant(
        "a spool that is gone is made anew",
        file="storage/spool.py",
        old='return "is gone" if self._file is not None else ""',
        new='return ""',
        test="test_an_agent_that_can_be_told_nothing[stdin.jsonl-deleted]",
    ),
    Mutant(
        "a spool that became shorter is written on",
        file="storage/spool.py",
        old="        if found.st_size < self._end:\n",
        new="        if False:\n",
        test="test_an_agent_that_can_be_told_nothing[stdin.jsonl-emptied]",
    ),
    Mutant(
        "to an agent at work the first message is said again",
        file="runner/session.py",
        old="self._order.opening, again=again)",
        new="self._order.opening, again=False)",
        test="test_what_was_said_is_gone_when_a_daemon_starts",
    ),
    Mutant(
        "without its spec a run was never begun",
        file="services/runs.py",
        old="RunPhase.STOPPING and not begun(rundir, row, cursor)",
        new="RunPhase.STOPPING and not rundir.spec.exists()",
        test="test_cancelled_without_its_spec",
    ),
    Mutant(
        "a run that was not followed is not closed",
        file="services/runs.py",
        old="        if session is None or ending.unbegun:",
        new="        if False:",
        test="test_a_shim_that_comes_after_the_end[cancelled by a daemon]",
    ),
    Mutant(
        "who takes a run down does not bar it",
        file="runner/takedown.py",
        old="    rundir.bar()\n    lived",
        new="    lived",
        test="test_a_shim_that_comes_after_the_end[cancelled without one]",
    ),
    Mutant(
        "an order to the shim goes wherever the path leads",
        file="storage/rundir.py",
        old="os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)\n        except OSError as error:\n            if error.errno in",
        new="os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)\n        except OSError as error:\n            if error.errno not in",
        test="test_the_way_to_the_shim_is_replaced[a_folder]",
    ),
    Mutant(
        "only a lock shows that a run was begun",
        file="runner/liveness.py",
        old="return rundir.started() or cursor > 0 or row.cut",
        new="return rundir.shim_lock.exists()",
        test="test_no_second_agent_is_started_beside_one_whose_locks_are_gone",
    ),
    Mutant(
        "a home by another name is another home",
        file="address.py",
        old="hashlib.sha256(os.fsencode(root.resolve()))",
        new="hashlib.sha256(os.fsencode(root))",
        test="test_a_home_by_another_name",
    ),
    Mutant(
        "a repeated order is carried out again",
        file="services/standstill.py",
        old="            await self._freezer.let_all_go()\n            return Frozen(frozen=False)\n",
        new="            return Frozen(frozen=False)\n",
        test="test_a_freeze_that_is_repeated_after_the_thaw_changes_nothing",
    ),
    Mutant(
        "a freeze is carried out beside the thaw that follows it",
        file="services/standstill.py",
        old="        async with self._ordering:\n            return await self._freeze(p)\n",
        new="        return await self._freeze(p)\n",
        test="test_a_daemon_that_hung_obeys_the_last_order",
    ),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def state(pid: int) -> str:
    """
    The process's state, as in ``/proc/PID/stat``.
    """
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()


def a_folder(fifo: Path, _: Path) -> None:
    fifo.unlink()
    fifo.mkdir()


def a_full_device(fifo: Path, _: Path) -> None:
    fifo.unlink()
    fifo.symlink_to("/dev/full")


def a_link_to_a_file(fifo: Path, victim: Path) -> None:
    fifo.unlink()
    fifo.symlink_to(victim)


@pytest.mark.parametrize("replace", [a_folder, a_full_device, a_link_to_a_file])
def test_the_way_to_the_shim_is_replaced(fault_world, replace: Callable[[Path, Path], None]):
    world = fault_world()
    hostile, innocent = world.two_at_work()
    victim = world.root / "victim"
    victim.write_bytes(b"precious")
    replace(world.run_dir("hostile/1") / "control.fifo", victim)
    frozen = world.orchctl("freeze")
    assert frozen.code == 0, frozen
    assert {state(hostile), state(innocent)} == {"T"}
    assert world.orchctl("thaw").code == 0
    world.wait_event("home.thawed")
    world.restart()
    assert world.orchctl("cancel", "hostile").code == 0
    world.wait_event("run.exited", run=f"{DAY}/hostile/1")
    assert not alive(hostile)
    assert alive(innocent)
    assert victim.read_bytes() == b"precious"
    assert world.orchctl("cancel", "innocent").code == 0
    world.wait_event("run.exited", run=f"{DAY}/innocent/1")


def test_no_second_agent_is_started_beside_one_whose_locks_are_gone(fault_world):
    world = fault_world()
    hostile, _ = world.two_at_work()
    world.kill()
    for name in ("shim.lock", "agent.lock"):
        (world.run_dir("hostile/1") / name).unlink()
    Ground.start(world)
    world.wait_event("run.exited", run=f"{DAY}/hostile/1")
    assert not alive(hostile)
    starts = [row["pid"] for row in world.truth_rows("start") if row["run"] == f"{DAY}/hostile/1"]
    assert starts == [hostile]
    assert world.agent_pid("hostile/1") == hostile
    assert world.orchctl("cancel", "--all").code == 0
    world.wait_event("run.exited", run=f"{DAY}/innocent/1")


def test_a_home_by_another_name(fault_world):
    """
    The daemon dies, and the next one is started through a link.
    """
    world = fault_world()
    world.script("a", [stream(3), gate("held"), stream(3), say()])
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("held")
    pid = world.agent_pid("a/1")
    world.kill()
    real, link = world.home, world.root / "link"
    link.symlink_to(real)
    world.home = link
    world.start()
    assert world.agent_pid("a/1") == pid
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    world.home = real
    check(world)


def test_a_freeze_that_is_repeated_after_the_thaw_changes_nothing(fault_world):
    world = fault_world()
    _, innocent = world.two_at_work()
    with Link(world.socket) as link:
        assert link.call("home.freeze", request_id="f")["frozen"]
        assert state(innocent) == "T"
        assert not link.call("home.thaw", request_id="t")["frozen"]
        assert not link.call("home.freeze", request_id="f")["frozen"]
    # A thaw is an order to the shims: it is answered before they have carried it out.
    until(lambda: state(innocent) != "T")
    assert world.orchctl("cancel", "--all").code == 0
    world.wait()


def test_a_daemon_that_hung_obeys_the_last_order(fault_world):
    world = fault_world()
    _, innocent = world.two_at_work()
    assert world.daemon is not None
    os.kill(world.daemon.pid, signal.SIGSTOP)
    try:
        assert world.orchctl("freeze").code == 0
        assert world.orchctl("thaw").code == 0
    finally:
        os.kill(world.daemon.pid, signal.SIGCONT)
    # Answered after the orders that were waiting when it woke.
    for _ in range(2):
        with Link(world.socket) as link:
            status = link.call("daemon.status")
    assert status["frozen_since"] is None
    before = len(world.truth_rows("told"))
    world.wait_truth("told", since=world.truth_file.stat().st_size)
    assert len(world.truth_rows("told")) > before
    assert state(innocent) != "T"
    assert world.orchctl("cancel", "--all").code == 0
    world.wait()


def test_folders_that_look_like_attempts(fault_world):
    """
    An agent leaves folders beside its run directory; the next attempt is counted all the same.
    """
    world = fault_world()
    world.script("a", [gate("here"), leave(3)], [say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    here = world.gate.arrive("here")
    for name in ("\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT FIVE}", "007", "9" * 30, "-1"):
        (world.run_dir("a/1").parent / name).mkdir(mode=0o700)
    here.release()
    assert world.wait() == {"a": "succeeded"}
    assert [e["run"] for e in world.events("run.started")] == [f"{DAY}/a/1", f"{DAY}/a/2"]
    assert world.daemon.poll() is None
    check(world)


def test_folders_far_ahead(fault_world):
    """
    An agent leaves what looks like later runs of its task: a far number, the next one, and a link to another agent's.
    """
    world = fault_world()
    world.script("a", [gate("here"), leave(3)], [say()])
    world.script("b", [gate("other"), say()])
    world.submit_tasks(task("a", retries=1), task("b"), day=DAY)
    here, other = world.gate.arrive("here"), world.gate.arrive("other")
    runs = world.run_dir("a/1").parent
    for number in (2, 999_999):
        (runs / str(number)).mkdir(mode=0o700)
    (runs / "4").symlink_to(world.run_dir("b/1"))
    here.release()
    end = time.monotonic() + 60.0
    while sum("/a/" in e["run"] for e in world.events("run.exited")) < 2:
        began = time.monotonic()
        world.rpc("task.status")
        assert time.monotonic() - began < 1.0
        assert began < end
    assert [e["run"] for e in world.events("run.started") if "/a/" in e["run"]] == [f"{DAY}/a/1", f"{DAY}/a/3"]
    other.release()
    assert world.wait() == {"a": "succeeded", "b": "succeeded"}
    assert [e["run"] for e in world.events("run.started") if "/b/" in e["run"]] == [f"{DAY}/b/1"]
    check(world)


def test_a_live_run_that_is_said_to_be_given_up(fault_world):
    """
    An agent writes the file with which a daemon bars what it never started; the next daemon takes it up all the same.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("here"), stream(2), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    here = world.gate.arrive("here")
    pid = world.agent_pid("a/1")
    world.kill()
    barred = world.run_dir("a/1") / "barred"
    barred.touch(0o600)
    barred.write_bytes(b"\x1b[31mnot true" * 10_000)
    world.start()
    assert world.agent_pid("a/1") == pid
    here.release()
    assert world.wait() == {"a": "succeeded"}
    check(world)


def deleted(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced(path: Path) -> None:
    """
    Another of the same kind, and of a FIFO somebody reads.
    """
    kind = path.stat().st_mode
    aside = path.with_name("aside")
    path.rename(aside)
    if stat.S_ISFIFO(kind):
        os.mkfifo(path, 0o600)
    else:
        path.write_bytes(aside.read_bytes())


LOST = [("stdin.jsonl", how) for how in (deleted, emptied, made_a_folder, replaced)]
LOST += [("control.fifo", how) for how in (deleted, made_a_folder, replaced)]


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "how"), LOST, ids=[f"{name}-{how.__name__}" for name, how in LOST])
async def test_an_agent_that_can_be_told_nothing(lone, name, how):
    """
    Its run is halted with the reason, so that another takes its conversation up: the shim lives, and hears nothing.
    """
    async with lone.driven():
        lone.say(tool_call("a", "m-a"))
        await lone.until(lambda: lone.desk.named("run.tool_called"))
        how(lone.dir.path / name)
        if how is replaced and name == "control.fifo":
            lone.held.callback(os.close, os.open(lone.dir.control, os.O_RDWR | os.O_NONBLOCK))
        await lone.rounds(3)
        await lone.pass_(HINDERED_SECONDS + 0.1)
        assert lone.desk.row(RUN).stopping is Outcome.STALLED
        reason = lone.desk.row(RUN).stopping_reason
        assert reason.startswith(f"its {name} ")
        assert reason.endswith(": it can be told nothing any more")


@pytest.mark.anyio
async def test_a_shim_that_does_not_listen_yet(lone):
    """
    A daemon that takes a run up may come before the shim has opened its end.
    """
    aside = lone.dir.control.with_name("aside")
    lone.dir.control.rename(aside)
    async with lone.driven():
        await lone.rounds(3)
        aside.rename(lone.dir.control)
        await lone.rounds(3)
        await lone.pass_(HINDERED_SECONDS + 0.1)
        await lone.rounds(3)
        assert lone.desk.row(RUN).stopping is None


@pytest.mark.anyio
@pytest.mark.parametrize("how", [deleted, emptied, made_a_folder], ids=lambda how: how.__name__)
async def test_what_was_said_is_gone_when_a_daemon_starts(lone, how):
    async with lone.driven():
        lone.say(tool_call("a", "m-a"))
        await lone.until(lambda: lone.desk.named("run.tool_called"))
    how(lone.dir.stdin)
    async with lone.driven():
        await lone.rounds(3)
        await lone.pass_(HINDERED_SECONDS + 0.1)
        await lone.until(lambda: lone.desk.row(RUN).stopping)
        assert "its stdin.jsonl" in lone.desk.row(RUN).stopping_reason
        assert b"Do it." not in lone.dir.sent()


def test_a_tree_without_its_pointer(fault_world):
    """
    An agent removes what makes its tree a worktree: that is seen and halts it, its work is kept, and the person may try again.
    """
    world = fault_world()
    world.script("a", [write("mine.txt", "mine"), gate("here"), say()], [say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    here = world.gate.arrive("here")
    (world.workspace("a") / "tree" / ".git").unlink()
    here.release()
    assert world.wait() == {"a": "failed"}
    assert world.events("run.exited")[0]["event"]["cause"] == "violation"
    assert world.orchctl("retry", "a").code == 0
    assert world.wait() == {"a": "succeeded"}
    _, second = (e["event"] for e in world.events("run.exited"))
    assert second["files"] == []
    repo = world.home / "var" / "git" / "work.git"
    listing = [
        "git",
        "-C",
        str(repo),
        "for-each-ref",
        "--format=%(refname)",
        f"refs/orchestrd/orchestrd/{DAY}/a/snapshot",
    ]
    left = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    showing = [["git", "-C", str(repo), "show", f"{ref}:mine.txt"] for ref in left]
    shows = [subprocess.run(show, capture_output=True, check=False) for show in showing]
    assert b"mine" in [show.stdout for show in shows]
    check(world)


def test_cancelled_without_its_spec(fault_world):
    """
    The agent removes the spec, is cancelled, and the daemon dies: it is taken down all the same, and alone when it is
    tried again.
    """
    world = fault_world()
    world.script("a", [stream(1), deaf(), stubborn(), gate("stays"), say()], [say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    world.gate.arrive("stays")
    pid = world.agent_pid("a/1")
    (world.run_dir("a/1") / "spec.json").unlink()
    world.rpc("task.cancel", tasks=["a"])
    world.kill()
    world.start()
    assert world.wait() == {"a": "cancelled"}
    assert not alive(pid)
    world.rpc("task.retry", tasks=["a"])
    assert world.wait() == {"a": "succeeded"}
    check(world)


@pytest.mark.parametrize("how", ["cancelled by a daemon", "cancelled without one"])
def test_a_shim_that_comes_after_the_end(fault_world, how):
    """
    The daemon died when it had just told the system to start a shim, and the system is slow.
    """
    world = fault_world(start=False)
    world.script("a", [gate("never"), say()])
    world.start("spawn.specified.before_exec=kill")
    with suppress(*GONE):
        world.rpc("task.submit", path=str(world.day(task("a"), day=DAY)))
    assert world.died() == -signal.SIGKILL
    if how == "cancelled by a daemon":
        assert world.orchctl("freeze").code == 0
        world.start()
        world.rpc("task.cancel", tasks=["a"])
        assert world.wait("a") == {"a": "cancelled"}
    else:
        done = world.orchctl("cancel", "a")
        assert done.code == 0, done
    late = subprocess.run(
        [sys.executable, "-I", "-S", str(SHIM), str(world.run_dir("a/1"))], capture_output=True, text=True, check=False
    )
    assert late.returncode == 1
    assert "a run directory is used once" in late.stderr
    assert world.truth_rows("start") == []
    if how == "cancelled without one":
        world.start()
        assert world.wait("a") == {"a": "cancelled"}
    check(world)
