"""
F26: processes that an agent leaves behind, however they try to get away: told, ended, and the run settles.

With a live shim nothing gets away: orphans of the tree come to it, whatever their session, environment or descriptors are.
Where the shim is dead too, a process is known by its environment, the inherited lock or its parents; one that has none of
the three (environment cleared, descriptors closed, every process above it gone) is not found.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, grandchild, say, stream
from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, gate_command, task

from orchestrd.ancestry import MARK
from shimworld import copied_shim, shimmed

MUTANTS = (
    Mutant(
        "orphans go to init",
        file="runner/shim.py",
        old="prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)",
        new="prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)",
        test="test_nobody_gets_away_from_a_live_shim[setsid]",
    ),
    Mutant(
        "what ignores TERM is left alone",
        file="runner/shim.py",
        old="                kill(left)\n",
        new="                return list(names.values())\n",
        test="test_nobody_gets_away_from_a_live_shim[stubborn]",
    ),
    Mutant(
        "what cannot be killed is waited for for ever",
        file="runner/shim.py",
        old="if not left or waited >= LEFTOVER_LIMIT:",
        new="if not left:",
        test="test_what_cannot_be_killed_is_not_waited_for_for_ever",
    ),
    Mutant(
        "leftovers are not told",
        file="services/endings.py",
        old="leftovers=ending.leftovers,",
        new="leftovers=0,",
        test="test_they_are_told_and_ended",
    ),
    Mutant(
        "what setup left running goes on beside the agent",
        file="runner/checks.py",
        old="            await end_commands(rundir)\n",
        new="            pass\n",
        test="test_what_commands_of_the_home_leave_is_not_the_agents",
    ),
    Mutant(
        "a killed daemon's check is taken for the agent's",
        file="services/runs.py",
        old="if task.state is TaskState.CHECKING:",
        new="if task.state is TaskState.WAITING:",
        test="test_what_commands_of_the_home_leave_is_not_the_agents",
    ),
    Mutant(
        "the tree of a dead shim is left alone",
        file="runner/liveness.py",
        old="            self.swept += await anyio.to_thread.run_sync(end_heirs, self._dir)\n",
        new="            pass\n",
        test="test_daemon_and_shim_die_before_the_tree[lock]",
    ),
    Mutant(
        "only holders of the lock belong to a run",
        file="runner/sweep.py",
        old="return _mark(pid) == rundir.path or held(pid, rundir.agent_lock)",
        new="return held(pid, rundir.agent_lock)",
        test="test_daemon_and_shim_die_before_the_tree[mark]",
    ),
    Mutant(
        "only marked processes belong to a run",
        file="runner/sweep.py",
        old="return _mark(pid) == rundir.path or held(pid, rundir.agent_lock)",
        new="return _mark(pid) == rundir.path",
        test="test_daemon_and_shim_die_before_the_tree[lock]",
    ),
    Mutant(
        "a start does not look for what is left of earlier runs",
        file="services/runs.py",
        old="        group.start_soon(patiently, self._sweeper.sweep)\n",
        new="",
        test="test_a_start_sweeps_what_is_left_of_settled_runs",
    ),
)
ESCAPES = {
    "setsid": "os.setsid()",
    "stubborn": "os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "frozen": "os.setsid(); late = lambda: os.kill(os.getpid(), signal.SIGSTOP)",
    "no descriptors": "os.setsid(); os.closerange(3, 4096)",
    "no environment": "os.setsid(); again = dict(env={})",
    "nothing at all": "os.setsid(); os.closerange(3, 4096); again = dict(env={}); os.chdir('/')",
    "own subreaper": "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n    if os.fork(): time.sleep(600)\n    os.setsid()",
    "deep": "for _ in range(30):\n        if os.fork(): os._exit(0)\n        os.setsid()",
}
AGENT = """\
import ctypes, os, signal, sys, time
read, write = os.pipe()
os.set_inheritable(write, True)
if os.fork() == 0:
    late, again = (lambda: None), None
    os.dup2(write, 2)
    ESCAPE
    if os.fork(): os._exit(0)
    code = "import os, time; os.write(2, b'%d\\\\n' % os.getpid()); time.sleep(600)"
    if again is not None:
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code], again["env"])
    os.write(2, b"%d\\n" % os.getpid())
    late()
    time.sleep(600)
    os._exit(0)
print(os.read(read, 32).decode(), end="", flush=True)
"""


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("escape", ESCAPES)
async def test_nobody_gets_away_from_a_live_shim(tmp_path, escape, tally):
    """
    The agent is gone, and its parent; the process is an orphan that hides.
    """
    with shimmed(tmp_path / "run") as agent:
        await agent.python(AGENT.replace("ESCAPE", ESCAPES[escape]))
        record = await agent.ended()
        pid = int(agent.output)
        assert record.exit_code == 0
        assert len(record.leftovers) >= 1
        assert not alive(pid)
        assert not agent.dir.agent_alive()
    tally("F26", kills=1, note="no way out of a live shim's tree")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs a superuser to make it")
def test_what_cannot_be_killed_is_not_waited_for_for_ever(tally):
    """
    A process of another user in the tree, as behind sudo: its shim may not signal it, and records the end all the same.
    """
    root = Path("/tmp") / f"orch-f26-{os.getpid()}"
    python, setpriv = shutil.which("python3", path="/usr/bin:/bin"), shutil.which("setpriv")
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        (root / "run").mkdir(parents=True)
        shim = copied_shim(root)
        become = root / "become"
        if python is None or setpriv is None:
            pytest.skip("python3 and setpriv of the system are needed")
        shutil.copy(setpriv, become)
        for path, mode in ((root, 0o755), (become, 0o4755)):
            path.chmod(mode)
        os.chown(root / "run", 65534, 65534)
        tried = subprocess.run(
            [become, "--reuid=0", "id", "-ru"], **nobody, capture_output=True, text=True, check=False
        )
        if tried.stdout.strip() != "0":
            pytest.skip("programs may not change their user here")
        script = f"{become} --reuid=0 sleep 600 & echo $!; exec sleep 0.5"
        spec = {"argv": ["/bin/sh", "-c", script], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}, "grace": 1.0}
        (root / "run" / "spec.json").write_text(json.dumps(spec))
        subprocess.run([python, "-I", "-S", shim, root / "run"], **nobody, check=True)
        try:
            record = json.loads(wait_file(root / "run" / "exit.json", bytes, timeout=45.0))
            pid = int((root / "run" / "stdout.jsonl").read_text())
            assert record["exit_code"] == 0
            assert record["leftovers"] == ["sleep"]
            assert alive(pid)
        finally:
            for name in (root / "run" / "stdout.jsonl", root / "run" / "process.json"):
                text = name.read_text()
                for pid in [int(text)] if text.strip().isdigit() else [json.loads(text)["shim"]]:
                    if alive(pid):
                        os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    tally("F26", note="a process that may not be killed")


@pytest.mark.slow
def test_they_are_told_and_ended(fault_world, tally):
    world = fault_world()
    world.script("messy", [stream(2), grandchild(), grandchild(stubborn=True), say()])
    world.submit_tasks(task("messy"), day=DAY)
    assert world.wait() == {"messy": "succeeded"}
    assert world.events("run.exited")[0]["event"]["leftovers"] == 2
    children = [row["pid"] for row in world.truth_rows("grandchild")]
    assert [alive(pid) for pid in children] == [False, False]
    assert "2 processes left behind were ended" in world.orchctl("report").out
    tally("F26", kills=2, **check(world).counts)


@pytest.mark.slow
def test_what_commands_of_the_home_leave_is_not_the_agents(fault_world, tally):
    """
    A setup command gets something away into a session of its own; a check works on when its daemon is killed.
    """
    world = fault_world(
        config={"worktree": {"setup": [f"setsid {gate_command('away')} & {gate_command('setup')}"]}},
    )
    world.script("tidy", [stream(2), gate("works"), say()])
    world.submit_tasks(task("tidy", retries=0, checks=[{"name": "slow", "run": gate_command("check")}]), day=DAY)
    away = world.gate.arrive("away")
    world.gate.arrive("setup").release()
    agent = world.gate.arrive("works")
    assert not alive(away.pid)
    agent.release()
    left = world.gate.arrive("check")
    world.kill()
    assert alive(left.pid)
    world.start()
    again = world.gate.arrive("check")
    assert not alive(left.pid)
    again.release()
    assert world.wait() == {"tidy": "succeeded"}
    assert world.events("run.exited")[0]["event"]["leftovers"] == 0
    assert "left behind" not in world.orchctl("report").out
    tally("F26", kills=1, note="commands of the home", **check(world).counts)


@pytest.mark.slow
@pytest.mark.parametrize("known_by", ["lock", "mark"])
def test_daemon_and_shim_die_before_the_tree(fault_world, tally, known_by):
    """
    The agent is gone; daemon and shim die before they have ended what it left.  The next daemon does.
    """
    world = fault_world()
    world.script("messy", [stream(2), gate("here"), say()], [stream(1), say()])
    world.submit_tasks(task("messy"), day=DAY)
    held = world.gate.arrive("here")
    mine = json.loads((world.run_dir("messy/1") / "process.json").read_bytes())
    # What a tool of it would leave: with the lock and no environment, or the other way round.
    lock = os.open(world.run_dir("messy/1") / "agent.lock", os.O_RDWR)
    code = "import time; print('up', flush=True); time.sleep(600)"
    env = {MARK: str(world.run_dir("messy/1"))} if known_by == "mark" else {}
    if known_by == "lock":
        # The agent's own descriptor, as a child inherits it.
        lock = _stolen(held.pid, lock)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(lock,) if known_by == "lock" else (),
    ) as child:
        try:
            assert child.stdout.read(3) == b"up\n"
            os.close(lock)
            world.kill()
            for name in ("shim", "agent"):
                os.kill(mine[name], signal.SIGKILL)
            world.start()
            exited = world.wait_event("run.exited")["event"]
            assert (exited["outcome"], exited["leftovers"]) == ("abandoned", 1)
            assert child.wait(30) == -signal.SIGKILL
        finally:
            child.kill()
    assert world.wait() == {"messy": "succeeded"}
    tally("F26", kills=4, **check(world).counts)


def _stolen(pid: int, like: int) -> int:
    """
    A duplicate of *pid*'s descriptor of the file that *like* is open on; closes *like*.
    """
    wanted = os.fstat(like)
    os.close(like)
    handle = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found = Path(f"/proc/{pid}/fd/{name}").stat()
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                fd = ctypes.CDLL(None, use_errno=True).syscall(438, handle, int(name), 0)  # pidfd_getfd(2)
                if fd < 0:
                    pytest.skip("pidfd_getfd is not allowed here")
                return fd
    finally:
        os.close(handle)
    raise AssertionError("the agent does not hold its lock")


@pytest.mark.slow
def test_a_start_sweeps_what_is_left_of_settled_runs(fault_world, tally):
    """
    An earlier daemon recorded the end and died before its tree did: what still carries the run's mark is ended, told in the
    journal and in the report.  What carries the mark of a run that nobody knows is left alone: it may be another home's, which
    was here before.
    """
    world = fault_world()
    world.script("done", [stream(2), say()])
    world.submit_tasks(task("done"), day=DAY)
    assert world.wait() == {"done": "succeeded"}
    world.kill()
    code = "import time; print('up', flush=True); time.sleep(600)"
    left, *innocent = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], env={MARK: mark}, stdout=subprocess.PIPE, start_new_session=True
        )
        for mark in (str(world.run_dir("done/1")), str(world.run_dir("forgotten/7")), "/elsewhere")
    ]
    try:
        for process in (left, *innocent):
            assert process.stdout.read(3) == b"up\n"
        began = time.monotonic()
        world.start()
        swept = world.wait_event("run.swept")["event"]
        assert (swept["run"], swept["processes"]) == (f"{DAY}/done/1", 1)
        assert left.wait(30) == -signal.SIGKILL
        wait_file(world.log, lambda data: b"run.unknown" in data)
        assert [process.poll() for process in innocent] == [None, None]
        assert time.monotonic() - began < 60
    finally:
        for process in (left, *innocent):
            process.kill()
            process.wait()
            process.stdout.close()
    assert "1 processes left behind were ended" in world.orchctl("report").out
    tally("F26", kills=2, **check(world).counts)
