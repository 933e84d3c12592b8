"""
F28: an agent that cannot be started: failed with a reason that names the cause, tried again after a pause, nothing leaked;
and a daemon without a free descriptor, which must not take its living agents for dead.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from harness.check import check
from harness.lone import Lone, hook, tool_call
from harness.mutant import Mutant
from harness.script import gate, say, stream
from harness.world import GONE, open_files
from kit.processes import alive
from kit.rpc import Link
from kit.script import DAY, gate_command, task

from factories import RUN
from orchestrd import failpoint
from orchestrd.errors import AgentError
from orchestrd.runner.launch import launch
from orchestrd.runner.liveness import SETTLE_SECONDS
from orchestrd.runner.voice import Voice
from orchestrd.storage import shortage
from orchestrd.storage.rundir import RunDir
from shimworld import Agent, copied_shim, shimmed

MUTANTS = (
    Mutant(
        "why it was given up is not kept",
        file="storage/rundir.py",
        old="write_atomic(self.barred, why.encode())",
        new="write_atomic(self.barred, b'')",
        test="test_the_daemon_dies_before_it_can_say_why",
    ),
    Mutant(
        "a shim that comes too late starts its agent all the same",
        file="runner/shim.py",
        old=' or os.path.exists("barred")',
        new="",
        test="test_what_was_given_up_does_not_start_later",
    ),
    Mutant(
        "whoever comes late is not followed",
        file="runner/launch.py",
        old='    return why if await patiently(lambda: anyio.to_thread.run_sync(rundir.bar, why)) else ""\n',
        new="    await patiently(lambda: anyio.to_thread.run_sync(rundir.bar, why))\n    return why\n",
        test="test_what_started_after_all_is_followed",
    ),
    Mutant(
        "a shim without descriptors does not say what it lacks",
        file="runner/shim.py",
        old='        os.write(ready_write, f"{type(error).__name__}: {error}\\n".encode())\n',
        new='        os.write(ready_write, f"{type(error).__name__}\\n".encode())\n',
        test="test_a_machine_that_gives_no_more",
    ),
    Mutant(
        "the cause is not told",
        file="runner/launch.py",
        old='return done.stderr.decode("utf-8", "replace").strip()',
        new='return ""',
        test="test_what_cannot_be_executed[missing]",
    ),
    Mutant(
        "tried again at once",
        file="domain/retries.py",
        old="Cause.NOT_STARTED: _lost(Outcome.FAILED, first=10.0)",
        new="Cause.NOT_STARTED: _lost(Outcome.FAILED, first=0.0)",
        test="test_a_start_that_fails_is_tried_again_after_a_pause[a folder]",
    ),
    Mutant(
        "what a setup that failed has made is kept as work",
        file="services/preparation.py",
        old="                if left is not None:\n                    await self._keep(task, tree, left)\n",
        new="                await self._keep(task, tree, left or snapshot.commit)\n",
        test="test_a_setup_that_fails_is_tried_again_in_a_tree_of_its_own",
    ),
    Mutant(
        "output files stay open",
        file="runner/intake.py",
        old="            os.close(self._output)\n",
        new="            pass\n",
        test="test_nothing_is_leaked",
    ),
    Mutant(
        "who looks at a lock keeps it open",
        file="storage/rundir.py",
        old="        return True\n    finally:\n        os.close(fd)\n    return False",
        new="        return True\n    return False",
        test="test_nothing_is_leaked",
    ),
    Mutant(
        "a lock that cannot be looked at is free",
        file="storage/shortage.py",
        old="errno.EMFILE, ",
        new="",
        test="test_agents_outlive_a_daemon_without_descriptors",
    ),
    Mutant(
        "a file of git's that cannot be opened now is gone",
        file="workspace/gitstate.py",
        old="    except OSError as error:\n        raise_if_short(error)\n        return None\n    try:\n",
        new="    except OSError:\n        return None\n    try:\n",
        test="test_agents_outlive_a_daemon_without_descriptors",
    ),
    Mutant(
        "a shortage breaks the session",
        file="storage/shortage.py",
        old="            if not is_shortage(error):\n",
        new="            if True:\n",
        test="test_a_session_without_descriptors_waits",
    ),
    Mutant(
        "an answer that could not be written is forgotten",
        file="runner/voice.py",
        old='                raise\n            return False\n        self._unsaid = b""',
        new='                raise\n        self._unsaid = b""',
        test="test_what_could_not_be_said_is_said_later",
    ),
    Mutant(
        "nobody tries again to say what could not be said",
        file="runner/session.py",
        old="        self._voice.flush()\n        self._accounts.ask()\n",
        new="        self._accounts.ask()\n",
        test="test_an_answer_that_finds_no_room_is_given_later",
    ),
)
BROKEN = {
    "missing": "No such file or directory",
    "no leave": "Permission denied",
    "a folder": "Permission denied",
    "no interpreter": "No such file or directory",
    "no program": "Exec format error",
    "no working tree": "No such file or directory",
}


def broken(folder: Path, kind: str) -> tuple[str, str]:
    """
    A program that cannot be executed, and where it would be.
    """
    path = folder / "agent"
    if kind == "no leave":
        path.write_text("#!/bin/sh\n")
        path.chmod(0o600)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "no interpreter":
        path.write_text("#!/no/such/interpreter\n")
        path.chmod(0o700)
    elif kind == "no program":
        path.write_bytes(b"\x7fELF and nothing more")
        path.chmod(0o700)
    elif kind == "no working tree":
        return "/bin/true", str(folder / "tree")
    return str(path), str(folder)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", BROKEN)
async def test_what_cannot_be_executed(tmp_path, kind):
    program, cwd = broken(tmp_path, kind)
    with shimmed(tmp_path / "run") as agent:
        agent.dir.create(agent.spec(program, cwd=cwd))
        with pytest.raises(AgentError, match="the agent could not be started") as caught:
            await launch(agent.dir)
        assert BROKEN[kind] in caught.value.message
        assert str(tmp_path) in caught.value.message
        assert not agent.dir.shim_alive()
        assert not agent.dir.agent_alive()


@pytest.mark.anyio
async def test_what_was_given_up_does_not_start_later(tmp_path, monkeypatch):
    """
    The machine was so slow that its shim comes when nobody waits for it any more.
    """

    async def slow(*_, **__) -> None:
        raise AgentError("the agent's shim could not be started: TimeoutError()")

    lone = Lone(tmp_path / "run")
    lone.dir.create(Agent(lone.dir.path).spec("/bin/true", cwd="/", HOME="/nonexistent"))
    with monkeypatch.context() as patch:
        patch.setattr("orchestrd.runner.launch.launch", slow)
        (ending, _) = await lone.session().drive()
    assert ending.spawn_error == "the agent's shim could not be started: TimeoutError()"
    with pytest.raises(AgentError, match="a run directory is used once"):
        await launch(lone.dir)
    assert not lone.dir.process.exists()


@pytest.mark.anyio
async def test_what_started_after_all_is_followed(tmp_path, monkeypatch):
    """
    Its shim came in the last moment.
    """
    real = launch

    async def slow(*args, **more) -> None:
        await real(*args, **more)
        raise AgentError("the agent's shim could not be started: TimeoutError()")

    lone = Lone(tmp_path / "run")
    lone.dir.create(Agent(lone.dir.path).spec("/bin/true", cwd="/", HOME="/nonexistent"))
    with monkeypatch.context() as patch:
        patch.setattr("orchestrd.runner.launch.launch", slow)
        (ending, _) = await lone.session().drive()
    assert (ending.spawn_error, ending.exit_code) == ("", 0)


LIMITED = """\
import os, resource, sys
limit, value, program = getattr(resource, sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
if os.geteuid() == 0 and sys.argv[1] == "RLIMIT_NPROC":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(limit, (value, value))
os.execv(program[0], program)
"""


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("RLIMIT_NPROC", 0, "Resource temporarily unavailable"),
        ("RLIMIT_NOFILE", 7, "Too many open files"),
    ],
    ids=["EAGAIN", "EMFILE"],
)
def test_a_machine_that_gives_no_more(limit, value, told):
    """
    No process, no descriptor: the shim says so, and nothing of it is left.
    """
    python = next((path for path in ("/usr/bin/python3", sys.executable) if os.access(path, os.X_OK)), sys.executable)
    with tempfile.TemporaryDirectory(prefix="orch-f28-") as folder:
        root = Path(folder)
        shim, run = copied_shim(root), Agent(root / "run")
        run.dir.create(run.spec("/bin/true", cwd="/"))
        for path, mode in ((root, 0o755), (run.dir.path, 0o777), (run.dir.spec, 0o644)):
            path.chmod(mode)
        done = subprocess.run(
            [python, "-I", "-S", "-c", LIMITED, limit, str(value), python, "-I", "-S", str(shim), str(run.dir.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1
        assert told in done.stderr
        assert not run.dir.shim_alive()
        assert not run.dir.exit.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a folder", "no interpreter"])
def test_a_start_that_fails_is_tried_again_after_a_pause(fault_world, tally, kind):
    """
    The agent's program is broken after the daemon found it well, and mended in time for the second attempt, which costs the task
    none of its own.
    """
    world = fault_world(config={"retries": 0})
    world.script("a", [stream(1), say()])
    for name in ("before", "beside"):
        world.script(name, [stream(1), gate(name), stream(1), say()])
    world.submit_tasks(task("before"), task("beside"), task("a", depends_on=["before"]), day=DAY)
    first, beside = world.gate.arrive("before"), world.gate.arrive("beside")
    before = open_files(world.daemon.pid)
    whole = world.cli.rename(world.root / "whole")
    broken(world.root, kind)
    (world.root / "agent").rename(world.cli)
    first.release()
    run = f"{DAY}/a"
    exited = world.wait_event("run.exited", run=f"{run}/1")["event"]
    assert (exited["outcome"], exited["cause"]) == ("failed", "not_started")
    assert exited["reason"].startswith("the agent could not be started: ")
    assert BROKEN[kind] in exited["reason"]
    world.cli.rename(world.root / "broken")
    whole.rename(world.cli)
    beside.release()
    assert world.wait() == dict.fromkeys(("before", "beside", "a"), "succeeded")
    ends = [e["at"] for e in world.events("run.exited") if e["run"].startswith(run)]
    starts = [e["at"] for e in world.events("run.started") if e["run"].startswith(run)]
    pauses = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    assert len(pauses) == 1
    assert min(pauses) >= 9.0
    assert open_files(world.daemon.pid) <= before
    tally("F28", note=f"pauses of {', '.join(f'{p:.1f}' for p in pauses)} s", **check(world).counts)


@pytest.mark.slow
def test_a_setup_that_fails_is_tried_again_in_a_tree_of_its_own(fault_world, tally, tmp_path):
    """
    What it made is no work and in nobody's way, and what it left running ends with it.
    """
    whole = tmp_path / "whole"
    setup = f"echo half > by-setup.txt; setsid {gate_command('away')} & {gate_command('setup')}; test -e {whole}"
    world = fault_world(config={"worktree": {"setup": [setup]}})
    world.script("a", [stream(1), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    for attempt in (1, 2):
        away = world.gate.arrive("away")
        world.gate.arrive("setup").release()
        exited = world.wait_event("run.exited", run=f"{DAY}/a/{attempt}")["event"]
        assert exited["reason"].startswith("the agent could not be started: worktree.setup `echo half")
        assert not alive(away.pid)
    assert world.wait() == {"a": "failed"}
    whole.touch()
    world.write("task.retry", tasks=["a"])
    world.gate.arrive("setup").release()
    assert world.wait() == {"a": "succeeded"}
    assert "by-setup.txt" not in world.left()
    tally("F28", note="setup that fails", **check(world).counts)


@pytest.mark.slow
def test_the_daemon_dies_before_it_can_say_why(fault_world, tally):
    """
    The reason is kept beside what cannot be started: the next daemon tells it, and starts nothing there.
    """
    world = fault_world(config={"worktree": {"setup": ["test -e mended"]}}, start=False)
    world.script("a", [say()])
    world.start("run.evidence.before_record=kill")
    with suppress(*GONE):
        world.submit_tasks(task("a", retries=0), day=DAY)
    assert world.died() == -signal.SIGKILL
    world.start()
    assert world.wait() == {"a": "failed"}
    [exited] = world.events("run.exited")
    assert exited["event"]["reason"] == "the agent could not be started: worktree.setup `test -e mended` failed"
    assert world.truth_rows("start") == []
    tally("F28", kills=1, **check(world).counts)


async def runs(folder: Path, count: int, *, at_once: int = 4) -> None:
    """
    *count* runs from launch to their end, some *at_once*; every fourth cannot be started.
    """
    limiter = anyio.CapacityLimiter(at_once)

    async def one(number: int) -> None:
        async with limiter:
            lone = Lone(folder / str(number))
            program = "/no/such/agent" if number % 4 == 3 else "/bin/true"
            spec = Agent(lone.dir.path).spec(program, cwd="/", HOME="/nonexistent")
            lone.dir.create(spec)
            (ending, _) = await lone.session().drive()
            assert bool(ending.spawn_error) == (number % 4 == 3)
            assert ending.exit_code == (None if ending.spawn_error else 0)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


def children() -> list[str]:
    """
    The processes below this one, also those that nobody has waited for.
    """
    return sorted(" ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split())


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [40, pytest.param(1000, marks=[pytest.mark.loop, pytest.mark.timeout(1800)])], ids=lambda count: f"{count}"
)
async def test_nothing_is_leaked(tmp_path, tally, count):
    """
    Descriptors and processes are as many after the runs as before; threads are those of the pool.
    """
    await runs(tmp_path / "before", 8)
    before, threads = (open_files(os.getpid()), children()), threading.active_count()
    await runs(tmp_path / "runs", count)
    assert (open_files(os.getpid()), children()) == before
    assert threading.active_count() <= threads + 4
    tally("F28", note=f"{count} runs, {before[0]} descriptors before and after")


@pytest.mark.anyio
async def test_a_session_without_descriptors_waits(tmp_path, monkeypatch):
    """
    It can look at nothing: that is no reason to end an agent; what was due is done later, and done once.
    """
    monkeypatch.setenv("ORCHESTRD_TESTING", "1")
    monkeypatch.setattr(shortage, "PAUSE", 0.02)
    lone = Lone(tmp_path / "run")
    lone.pretend()
    with lone.held:
        async with lone.driven():
            lone.say(tool_call("t1"))
            await lone.until(lambda: lone.desk.named("run.tool_called"))
            with _no_descriptors():
                _append(lone, hook("r1"))
                looks = failpoint._counts["loop.session"]
                # Two looks at least are broken off.
                await lone.until(lambda: failpoint._counts["loop.session"] - looks > 2)
                lone.clock.now += 60.0
            await lone.rounds()
            # Its response, of which no end is told, could end in a moment.
            await lone.pass_(1.0)
            await lone.until(lambda: b'"r1"' in lone.dir.sent())
            await lone.rounds(3)
            assert lone.ending is None
            assert lone.dir.sent().count(b'"r1"') == 1
            assert lone.desk.row(RUN).stopping is None


@pytest.mark.anyio
async def test_an_answer_that_finds_no_room_is_given_later(tmp_path):
    """
    The agent waits for leave, and what is said to it cannot be written for a while.
    """
    lone = Lone(tmp_path / "run")
    lone.pretend()
    with lone.held:
        async with lone.driven():
            send, tried = lone.dir.send, []

            def refused(_: bytes) -> None:
                tried.append(1)
                raise OSError(errno.ENOSPC, "No space left on device")

            lone.dir.send = refused
            lone.say(tool_call("t1"), hook("r1"))
            await lone.rounds()
            # Its response, of which no end is told, could end in a moment.
            await lone.pass_(1.0)
            await lone.until(lambda: len(tried) > 1)
            lone.dir.send = send
            await lone.until(lambda: b'"r1"' in lone.dir.sent())
            await lone.rounds()
            assert lone.dir.sent().count(b'"r1"') == 1
            assert lone.desk.row(RUN).stopping is None


def test_what_could_not_be_said_is_said_later(tmp_path):
    """
    Descriptors may run out between the look at the agent and the answer to it.
    """
    voice, line = Voice(RunDir(tmp_path)), b'{"answer":"r1"}\n'
    with _no_descriptors():
        voice.answer([("r1", line)])
        assert not voice.flush()
    assert RunDir(tmp_path).sent() == b""
    assert voice.flush()
    voice.answer([("r1", line)])
    assert RunDir(tmp_path).sent() == line


def _append(lone: Lone, line: dict) -> None:
    """
    Write a line with the one descriptor that is free for it.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    low = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (low + 1, hard))
    lone.say(line)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))


class _no_descriptors:  # noqa: N801 - reads as what it is
    """
    This process may open nothing in the block.
    """

    def __enter__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The lowest free number is the first that may not be had.
        low = os.open("/dev/null", os.O_RDONLY)
        os.close(low)
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


@pytest.mark.slow
def test_agents_outlive_a_daemon_without_descriptors(fault_world, tally):
    """
    For a while it can open nothing: its agents are neither ended nor taken for dead, and all goes on when it can.
    """
    world = fault_world(start=False, config={"retries": 5})
    for name in ("a", "b", "c"):
        world.script(name, [stream(2), gate(name), stream(2), say()])
    world.start()
    world.submit_tasks(*(task(name) for name in ("a", "b", "c")), day=DAY)
    held = [world.gate.arrive(name) for name in ("a", "b", "c")]
    before = world.living()
    pid = world.daemon.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with Link(world.socket) as link:
        # Answered once, so taken: a connection that it has already needs no descriptor.
        assert not link.call("task.wait", tasks=["a"], timeout=0.0)["done"]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            held[0].release()
            # The daemon itself waits, by the loop in which each session waits for its next look: two of those at least are
            # broken off meanwhile, with more time between them than after which a run is given up.
            assert shortage.PAUSE > SETTLE_SECONDS
            assert link.call("task.wait", tasks=["a"], timeout=3 * shortage.PAUSE)["timed_out"]
            assert world.daemon.poll() is None
            assert world.living() == before
            # It is at its second call, for which nobody can give it leave now.
            assert not [row for row in world.truth_rows("end") if row["run"].endswith("a/1")]
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    for arrival in held[1:]:
        arrival.release()
    assert world.wait() == dict.fromkeys(("a", "b", "c"), "succeeded")
    assert [e["event"]["attempt"] for e in world.events("run.started")] == [1, 1, 1]
    assert {row["run"]: row["pid"] for row in world.truth_rows("start")} == before
    tally("F28", note="three agents beside a daemon without descriptors", **check(world).counts)
