"""
An agent that reaches for the daemon: it may not start, end or rule one, whatever it takes out of its environment; a daemon
that has come to live in a run's tree all the same is neither ended with it nor stopped by a freeze.  And an agent that takes
the home's lock when a daemon dies is told from a daemon, by the lock and not by a number, and keeps nobody from starting.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import SOURCE, Mutant
from harness.script import gate, say, stream
from kit.files import wait_file
from kit.processes import alive, parent, until
from kit.script import DAY, task

from orchestrd import locks
from orchestrd.ancestry import MARK
from orchestrd.runner import freezing
from orchestrd.runner.sweep import end_heirs, heirs, strays
from orchestrd.storage.home import Home
from shimworld import shimmed

pytestmark = pytest.mark.slow

MUTANTS = (
    Mutant(
        "only the environment is asked",
        file="ancestry.py",
        old="    folder = environ.get(MARK) or run_of(os.getpid())\n",
        new="    folder = environ.get(MARK)\n",
        test="test_an_agent_restarts_no_daemon[unmarked]",
    ),
    Mutant(
        "only marks are looked for, not shims",
        file="ancestry.py",
        old="            folder = variable(process, MARK) or _watched(process)\n",
        new="            folder = variable(process, MARK)\n",
        test="test_an_agent_restarts_no_daemon[orphan]",
    ),
    Mutant(
        "only the process itself is looked at",
        file="ancestry.py",
        old="            process = parent\n",
        new="            process = None\n",
        test="test_an_agent_restarts_no_daemon[unmarked]",
    ),
    Mutant(
        "who asks at the socket is not looked at",
        file="edges/rpc.py",
        old="        if METHODS[request.method].commands:\n",
        new="        if False:\n",
        test="test_an_agent_speaks_to_no_daemon[unmarked]",
    ),
    Mutant(
        "only what changes something is for nobody inside a run",
        file="protocol/api/methods.py",
        old="        return self.writes or self.ends\n",
        new="        return self.writes\n",
        test="test_an_agent_speaks_to_no_daemon[marked]",
    ),
    Mutant(
        "who asked and is gone is trusted",
        file="ancestry.py",
        old='    if not stops and not Path(f"/proc/{pid}").exists():\n',
        new="    if False:\n",
        test="test_an_agent_speaks_to_no_daemon[gone]",
    ),
    Mutant(
        "the daemon's own program asks nobody",
        file="__main__.py",
        old='            refuse_runs("orchestrd --repair" if arguments.repair else "orchestrd", environ)\n',
        new="            pass\n",
        test="test_the_program_itself_is_for_nobody_inside_a_run",
    ),
    Mutant(
        "an agent cancels without a daemon",
        file="__main__.py",
        old='        refuse_runs(f"orchestrd --offline {arguments.offline}", os.environ)\n',
        new="",
        test="test_the_program_itself_is_for_nobody_inside_a_run",
    ),
    Mutant(
        "the shim ends the daemon with its tree",
        file="runner/shim.py",
        old="apart=daemon(HOME_LOCK)",
        new="apart=None",
        test="test_a_daemon_in_a_tree_is_not_of_it",
    ),
    Mutant(
        "a freeze stops the daemon",
        file="runner/freezing.py",
        old="    apart = {os.getpid(), daemon(home_lock(logs))}\n",
        new="    apart = {os.getpid()}\n",
        test="test_a_daemon_in_a_tree_is_not_of_it",
    ),
    Mutant(
        "a marked daemon counts as a stray",
        file="runner/sweep.py",
        old=" and pid != apart:\n",
        new=":\n",
        test="test_a_daemon_in_a_tree_is_not_of_it",
    ),
    Mutant(
        "a marked daemon is swept",
        file="runner/sweep.py",
        old="    apart = {os.getpid(), daemon(rundir.home_lock)}\n",
        new="    apart = {os.getpid()}\n",
        test="test_a_daemon_in_a_tree_is_not_of_it",
    ),
    Mutant(
        "an agent that has the lock keeps every daemon out",
        file="runner/homelock.py",
        old="                ended = end_silent(error.pids, home.lock_file)\n",
        new="                ended: list[str] = []\n",
        test="test_an_agent_that_has_the_lock_is_ended_at_the_start",
    ),
    Mutant(
        "a number that somebody wrote down is a holder",
        file="locks.py",
        old="    return pid if pid is not None and held(pid, lock) else None\n",
        new="    return pid\n",
        test="test_who_is_no_daemon_is_told_as_what_it_is",
    ),
    Mutant(
        "a dead daemon is said to serve",
        file="storage/home.py",
        old="named = pid is not None and held(pid, self.lock_file)",
        new="named = pid is not None",
        test="test_who_is_no_daemon_is_told_as_what_it_is",
    ),
    Mutant(
        "whoever has the lock is ended",
        file="storage/home.py",
        old="        if len(runs) == len(pids) and all(run.resolve().is_relative_to(logs) for run in runs):\n",
        new="        runs = runs or [logs]\n        if True:\n",
        test="test_who_is_no_daemon_is_told_as_what_it_is",
    ),
    Mutant(
        "a deep look sees no holder but a daemon",
        file="audit/report.py",
        old="    if not others:\n",
        new="    if True:\n",
        test="test_an_agent_that_has_the_lock_is_ended_at_the_start",
    ),
)
ASKS = f"""\
import json, os, subprocess, sys
read, write = os.pipe()
inner = '''
import json, os, subprocess, sys
if sys.argv[1] == "orphan":
    mine = os.getpid()
    if os.fork(): os._exit(0)
    while os.getppid() == mine: os.sched_yield()
done = subprocess.run(sys.argv[3:], capture_output=True, text=True)
os.write(int(sys.argv[2]), json.dumps([done.returncode, done.stderr]).encode())
'''
how, *command = json.loads(os.environ["ASKED"])
environ = dict(os.environ)
if how != "marked":
    del environ["{MARK}"]
subprocess.Popen([sys.executable, "-c", inner, how, str(write), *command], env=environ, pass_fds=[write]).wait()
os.close(write)
print(os.read(read, 65536).decode(), flush=True)
"""
SPEAKS = """\
import os, socket, sys
gone = sys.argv[1] == "gone"
if gone and (first := os.fork()):
    os.waitpid(first, 0)
    os._exit(0)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[2])
if gone:
    mine = os.getpid()
    if os.fork(): os._exit(0)
    while os.path.exists(f"/proc/{mine}"): os.sched_yield()
peer.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "daemon.stop"}\\n')
sys.exit(peer.makefile().readline())
"""
SERVES = """\
import os, subprocess, sys
program = '''
import sys
import orchestrd.__main__ as program
program.refuse_runs = lambda *_: None
sys.exit(program.main(sys.argv[1:]))
'''
subprocess.Popen([sys.executable, "-c", program, "--home", os.environ["SERVED"]], start_new_session=True)
subprocess.Popen(["sleep", "600"], start_new_session=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _private() -> Iterator[None]:
    """
    Folders of runs that are made here are for their owner alone, as the daemon's are.
    """
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["marked", "unmarked", "orphan"])
async def test_an_agent_restarts_no_daemon(fault_world, tally, how):
    """
    From its shell; without the mark in the command's environment; and from what has no process of the agent above it.
    """
    world = fault_world()
    asked = [how, sys.executable, "-m", "orchctl", "--home", str(world.home), "daemon", "restart"]
    with shimmed(world.run_dir("asks/1")) as agent:
        await agent.python(ASKS, **{**world.environ, MARK: str(agent.dir.path), "ASKED": json.dumps(asked)})
        record = await agent.ended()
        code, said = json.loads(agent.output)
    assert record.exit_code == 0
    assert code == 4, said
    assert f"daemon restart: this is a process of the run {DAY}/asks/1, and an agent may only look" in said
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    assert len(world.events("daemon.started")) == 1
    tally("F22", note="an agent that reaches for the daemon", **check(world).counts)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["marked", "unmarked", "orphan", "gone"])
async def test_an_agent_speaks_to_no_daemon(fault_world, tally, how):
    """
    At the socket itself, where no client of ours refuses it; and by one that connects, and leaves the asking to its child.
    """
    world = fault_world()
    asked = [how, sys.executable, "-c", SPEAKS, how, str(world.socket)]
    with shimmed(world.run_dir("asks/1")) as agent:
        await agent.python(ASKS, **{**world.environ, MARK: str(agent.dir.path), "ASKED": json.dumps(asked)})
        await agent.ended()
        code, said = json.loads(agent.output)
    assert code == (how != "gone"), said
    assert '"exit_status":77' in said
    assert ("could have been an agent's" if how == "gone" else f"of the run {DAY}/asks/1") in said
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally("F22", note="an agent that speaks to the daemon", **check(world).counts)


def test_the_program_itself_is_for_nobody_inside_a_run(fault_world):
    """
    It ends as what may not be done, before it touches the home; it still looks, for whoever asks.
    """
    world = fault_world(start=False)
    before = sorted(world.home.rglob("*"))

    def program(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "orchestrd", "--home", str(world.home), *words]
        return subprocess.run(
            argv, env={**world.environ, **env}, capture_output=True, text=True, check=False, timeout=30
        )

    marked = {MARK: str(world.run_dir("asks/1"))}
    done = program(**marked)
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith(f"orchestrd: orchestrd: this is a process of the run {DAY}/asks/1")
    # Nothing that it descends from is of a run: then a person has the variable by mistake.
    assert f"{MARK} is set, and nothing here is of a run: unset it." in done.stderr
    assert program("--check", "--deep", "--repair", **marked).returncode == 77
    for words in (("cancel", "asks"), ("freeze",), ("thaw",)):
        done = program("--offline", *words, **marked)
        told = json.loads(done.stdout)["error"]
        assert (done.returncode, told["exit_status"]) == (77, 77)
        assert f"--offline {words[0]}: this is a process of the run" in told["message"]
    assert sorted(world.home.rglob("*")) == before
    assert json.loads(program("--check", **marked).stdout)["checks"]


@pytest.mark.anyio
async def test_a_daemon_in_a_tree_is_not_of_it(fault_world, tally):
    """
    A daemon whose parent is an agent, and which carries its mark: one that an older version let start.
    """
    world = fault_world()
    assert world.stop() == 0
    home = Home(world.home.resolve())
    home.lock_file.write_bytes(b"")
    with shimmed(home.run_dir(f"{DAY}/starts/1")) as agent:
        served = {MARK: str(agent.dir.path), "SERVED": str(world.home), "PYTHONPATH": str(SOURCE)}
        await agent.python(SERVES, **{**served, **world.environ})
        pid = int(wait_file(home.lock_file, lambda data: data.count(b"\n") == 2 and data, timeout=10).split()[0])
        assert parent(pid) == agent.pids["agent"]
        assert _variable(pid, MARK) == str(agent.dir.path)
        other = await agent.until(lambda: _sleeps(agent.pids["agent"]))
        # By its mark, or by what it descends from.
        assert strays(home.logs)[agent.dir.path] == {agent.pids["agent"], other}
        assert set(heirs(agent.dir)) == {agent.pids["agent"], other}
        # The shim's way, and that of who has no shim to tell.
        agent.dir.tell("signal SIGSTOP")
        await agent.until(lambda: _state(other) == _state(agent.pids["agent"]) == "T")
        assert freezing.freeze(home.logs, [])
        assert _state(pid) != "T"
        assert world.rpc("home.freeze")["frozen"]
        assert world.orchctl("thaw").code == 0
        agent.dir.tell("signal SIGCONT")
        await agent.until(lambda: "T" not in {_state(other), _state(agent.pids["agent"])})
        # The agent is gone: its shim ends what it left, and so does whoever comes after the shim.
        os.kill(agent.pids["agent"], signal.SIGKILL)
        record = await agent.ended()
        assert record.leftovers == ["sleep"]
        assert not alive(other)
        assert end_heirs(agent.dir) == []
        assert world.rpc("daemon.status")["pid"] == pid
        assert world.orchctl("daemon", "stop").code == 0
    tally("F22", note="a daemon in an agent's tree", **check(world).counts)


def test_an_agent_that_has_the_lock_is_ended_at_the_start(fault_world, tally):
    """
    A process of a run waited for the home's lock, and has it once the daemon is killed; so has what it started.
    """
    world = fault_world()
    world.script("works", [stream(2), gate("held"), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    lock = world.home / "var" / "orchestrd.lock"
    with waiting_for(lock, **{MARK: str(world.run_dir("works/1"))}) as thief:
        dead = world.daemon.pid
        world.kill()
        has = until(lambda: len(found := locks.holders(lock)) == 2 and found)
        assert thief.pid in has
        told = world.orchctl("doctor", "--deep", "--json").json["checks"][-1]
        assert (told["name"], told["status"]) == ("daemon", "warning")
        assert f"process {thief.pid} (flock) of the run {DAY}/works/1" in told["detail"]
        assert str(dead) not in told["detail"]
        world.start()
        assert thief.wait(30) == -signal.SIGKILL
        assert not any(alive(pid) for pid in has)
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    freed = [json.loads(line) for line in world.log.read_text().splitlines() if "lock.freed" in line]
    assert sorted(freed[0]["ended"]) == ["flock", "sleep"]
    assert world.agents() == [held.pid]
    held.release()
    assert world.wait() == {"works": "succeeded"}
    tally("F22", kills=1, note="an agent takes the home's lock", **check(world).counts)


def test_who_is_no_daemon_is_told_as_what_it_is(fault_world):
    """
    A program of the person's has the lock, and the file still names the daemon that died: it is not ended, nor is the dead
    one's number told, which by now may be anybody's.
    """
    world = fault_world()
    world.script("works", [stream(2), gate("held"), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    lock = world.home / "var" / "orchestrd.lock"
    with waiting_for(lock) as other:
        dead = str(world.daemon.pid)
        world.kill()
        until(lambda: other.pid in locks.holders(lock))
        for command in (("daemon", "start"), ("cancel", "works")):
            done = world.orchctl(*command)
            assert done.code == 4, done
            assert f"no daemon holds the home's lock, but process {other.pid} (flock)" in done.err
            assert f"ps -fp {other.pid}," in done.err
            assert dead not in done.err.replace(str(world.home), "")
        assert world.orchctl("daemon", "stop").out == "No daemon was running.\n"
        frozen = world.orchctl("freeze", "--json").json
        assert frozen["recorded"] is False
        assert dead not in str(frozen["notes"])
        assert f"process {other.pid} (flock)" in frozen["notes"][0]
        assert world.orchctl("thaw").code == 0
        assert other.poll() is None
    world.start()
    held.release()
    assert world.wait() == {"works": "succeeded"}


@contextmanager
def waiting_for(lock: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """
    A program that waits for the *lock*, and then keeps it; ended with what it started.
    """
    with subprocess.Popen(
        ["flock", str(lock), "sleep", "600"], env={"PATH": os.environ["PATH"], **env}, start_new_session=True
    ) as process:
        try:
            until(lambda: _waits(process.pid))
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _waits(pid: int) -> bool:
    """
    True while the process waits for a lock: proc(5), ``locks``.
    """
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any(words[1] == "->" and words[5] == str(pid) for words in map(str.split, lines))


def _children(pid: int) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent(int(name)) == pid]


def _sleeps(of: int) -> int | None:
    """
    The child of this process that is called ``sleep``.
    """
    return next((pid for pid in _children(of) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"), None)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()


def _variable(pid: int, name: str) -> str | None:
    entries = dict(entry.partition("=")[::2] for entry in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return entries.get(name)
