"""
F31: SIGTERM, whatever the daemon is at: it leaves within five seconds with status 0, agents go on, nothing acknowledged is
lost, and the next daemon finds what it would have found after SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream, stubborn
from harness.world import GONE, FaultWorld
from kit.processes import alive, of_runs, until
from kit.rpc import Link, RpcError
from kit.script import DAY, gate_command, question, task

from orchestrd.runner.launch import SHIM
from orchestrd.storage.rundir import RunDir, RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LIMIT = 5.0
IN_ORDER = 3.0
"""Seconds for a drain that nothing holds up: less than after which it is cut."""


def drained(world: FaultWorld) -> float:
    """
    Seconds from SIGTERM to an exit with status 0 in good order.
    """
    began = time.monotonic()
    assert world.stop() == 0
    took = time.monotonic() - began
    said = world.log.read_text(encoding="utf-8")
    assert "not drained" not in said
    assert "daemon.stopped" in said
    assert "Traceback" not in said
    assert took < IN_ORDER, took
    assert world.events("daemon.stopped"), "it did not say goodbye"
    return took


def test_under_load(fault_world, tally):
    """
    Ten agents stream, one waits for a person, ten clients submit and one follows without reading.
    """
    world = fault_world(agents=12)
    names = [f"t{number}" for number in range(10)]
    for name in names:
        world.script(name, [stream(150, every=0.01), gate(name), say()])
    world.script("asks", [ask(question("Which?", "One", "Two")), say()])
    world.submit_tasks(*(task(name) for name in (*names, "asks")), day=DAY)
    world.wait_event("question.asked")
    until(lambda: len(world.living()) == 11)
    answered: list[str] = []
    writers = [threading.Thread(target=submitting, args=(world, number, answered)) for number in range(10)]
    took = []
    with Link(world.socket) as lazy:
        lazy.call("events.subscribe", since=0)
        for writer in writers:
            writer.start()
        until(lambda: len(answered) > 20)
        before = world.living()
        took.append(drained(world))
    for writer in writers:
        writer.join(30)
    assert len(before) == 11
    assert {run: pid for run, pid in before.items() if alive(pid)} == before
    world.start()
    assert world.living() == before
    assert world.rpc("question.answer", task=f"{DAY}/asks", options=["B"])["answer"] == "Two"
    for name in names:
        world.gate.arrive(name).release()
    assert set(world.kept(lambda patience: world.wait(*names, "asks", timeout=120.0)).values()) == {"succeeded"}
    found = check(world, acknowledged=answered)
    tally(row="F31", **found.counts, note=f"drained under load in {max(took):.2f} s, {len(answered)} writes answered")


def submitting(world: FaultWorld, number: int, answered: list[str]) -> None:
    """
    Submit small days of never starting tasks until the daemon is gone; the request ids that were answered go to *answered*.
    """
    for count in range(10_000):
        name, request = f"w{number}-{count}", str(uuid.uuid4())
        text = f"date: 2031-01-{number + 1:02}\ntasks:\n  - {{id: {name}, name: n, description: d, start_at: 2031-01-01T00:00:00Z}}\n"
        try:
            with Link(world.socket) as link:
                link.call("task.submit", path="x.yaml", text=text, request_id=request)
        except (*GONE, TimeoutError, ValueError):
            return
        except RpcError as error:
            assert "ending" in str(error), error
            return
        answered.append(request)


@pytest.mark.parametrize("moment", ["run.started", "run.prepared", "run.initialised"])
def test_while_agents_are_started(fault_world, moment, tally):
    world = fault_world(agents=8)
    names = [f"t{number}" for number in range(8)]
    for name in names:
        world.script(name, [gate(name), say()])
    world.submit_tasks(*(task(name) for name in names), day=DAY)
    world.wait_event(moment)
    drained(world)
    before = world.living()
    world.start()
    for name in names:
        world.gate.arrive(name).release()
    assert set(world.wait(*names).values()) == {"succeeded"}
    assert {e["event"]["attempt"] for e in world.events("run.started")} == {1}
    assert all(world.agent_pid(run.partition("/")[2]) == pid for run, pid in before.items())
    tally(row="F31", **check(world).counts)


@pytest.mark.parametrize("what", ["setup", "check"])
def test_while_a_command_of_its_own_runs(fault_world, what):
    """
    A command is no agent: it ends with the daemon, and the next one runs it again.
    """
    # It has made a file that git sees, and is not done.
    world = fault_world(config={"worktree": {"setup": [f"touch by-setup.txt; {gate_command('setup')}"]}})
    world.script("a", [say()])
    world.submit_tasks(task("a", checks=[{"run": gate_command("check")}]), day=DAY)
    if what == "check":
        world.gate.arrive("setup").release()
    arrived = world.gate.arrive(what)
    drained(world)
    assert arrived.gone(5.0)
    assert of_runs(world.root) == {}
    world.start()
    if what == "setup":
        world.gate.arrive("setup").release()
    world.gate.arrive("check").release()
    assert world.wait("a") == {"a": "succeeded"}
    check(world)


def test_while_an_agent_that_cannot_be_followed_is_ended(fault_world):
    world = fault_world(config={"agent": {"stop_grace": "20s"}}, start=False)
    world.script("a", [stubborn(), stream(1), gate("stays"), say()])
    world.start("session.heard.before_record=raise@2")
    world.submit_tasks(task("a"), day=DAY)
    wait_log(world, "run.broken")
    drained(world)
    assert world.living()


def test_a_drain_that_is_held_up_is_cut(fault_world, tally):
    world, held = held_up(fault_world)
    before = world.living()
    began = time.monotonic()
    assert world.stop() == 0
    took = time.monotonic() - began
    assert IN_ORDER < took < LIMIT
    assert "not drained" in world.log.read_text(encoding="utf-8")
    held.join(30)
    goes_on(world, before)
    tally(row="F31", **check(world).counts, note=f"cut after {took:.1f} s")


def test_a_second_signal_ends_it_at_once(fault_world):
    world, held = held_up(fault_world)
    before = world.living()
    assert world.daemon is not None
    world.daemon.terminate()
    wait_log(world, "daemon.draining")
    # Until the first is acted on, a second is the same one to the kernel.
    until(lambda: not handled(world.daemon.pid, signal.SIGTERM))
    began = time.monotonic()
    world.daemon.terminate()
    assert world.daemon.wait(10) == -signal.SIGTERM
    assert time.monotonic() - began < 1.0
    held.join(30)
    goes_on(world, before)


def hung(fault_world, tmp_path) -> FaultWorld:
    """
    A daemon whose event loop hangs, beside an agent that waits at the gate "on".
    """
    world = fault_world()
    world.script("a", [stream(2), gate("on"), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("on")
    world.kill()
    passes = tmp_path / "passes"
    world.arm("loop.freezer=hang@4", log=passes)
    world.daemon = world.spawn()
    until(lambda: passes.exists() and passes.read_text(encoding="ascii").count("loop.freezer") >= 4)
    return world


def test_a_daemon_whose_event_loop_hangs_leaves_all_the_same(fault_world, tmp_path, tally):
    world = hung(fault_world, tmp_path)
    before = world.living()
    began = time.monotonic()
    assert world.stop() == 0
    assert time.monotonic() - began < LIMIT
    assert "not drained" in world.log.read_text(encoding="utf-8")
    world.start()
    assert world.living() == before
    tally(row="F31", **check(world).counts, note="the event loop hung")


def test_a_daemon_whose_event_loop_hangs_is_ended_by_the_second_signal(fault_world, tmp_path):
    world = hung(fault_world, tmp_path)
    before = world.living()
    threads = Path(f"/proc/{world.daemon.pid}/task")
    beside = len(list(threads.iterdir()))
    world.daemon.terminate()
    # The clock of the drain is a thread.
    until(lambda: len(list(threads.iterdir())) > beside)
    began = time.monotonic()
    world.daemon.terminate()
    assert world.daemon.wait(10) == -signal.SIGKILL
    assert time.monotonic() - began < 1.0
    world.start()
    assert world.living() == before


def test_before_it_has_read_what_it_is_asked(fault_world):
    """
    Python itself takes some hundredths of a second, in which a signal ends it as any program; from then on none does.
    """
    world = fault_world(start=False)
    world.daemon = world.spawn()
    # Later it catches it, and the start of a thread holds it back for a moment, too.
    until(lambda: masked(world.daemon.pid, "SigBlk", signal.SIGTERM) and not handled(world.daemon.pid, signal.SIGTERM))
    assert world.stop() == 0
    world.start()


@pytest.mark.parametrize("point", ["home.locked.before_open", "recovery.rows_read"])
def test_while_it_reads_the_journal(fault_world, point):
    world = fault_world(start=False)
    passes = world.root / "passes"
    world.arm(f"{point}=hang", log=passes)
    world.daemon = world.spawn()
    until(lambda: passes.exists() and point in passes.read_text(encoding="ascii"))
    began = time.monotonic()
    assert world.stop() == 0
    assert time.monotonic() - began < IN_ORDER
    world.start()


def test_while_it_tries_the_sandbox(fault_world, monkeypatch):
    """
    Nothing is served yet, but what it has started ends with it.
    """
    world = fault_world(start=False, config={"agent": {"sandbox": "auto"}})
    tried, path = world.root / "tried", os.environ["PATH"]
    program = world.root / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ > {tried}.new\nmv {tried}.new {tried}\nexec sleep 600\n", encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:{path}")
    world.daemon = world.spawn()
    until(tried.exists)
    began = time.monotonic()
    assert world.stop() == 0
    assert time.monotonic() - began < IN_ORDER
    assert "daemon.stopped" in world.log.read_text(encoding="utf-8")
    assert not alive(int(tried.read_text(encoding="ascii")))
    monkeypatch.setenv("PATH", path)
    world.start()


def test_while_it_takes_up_live_runs(fault_world, tally):
    world = fault_world()
    world.script("a", [gate("stays"), say()])
    world.submit_tasks(task("a"), day=DAY)
    stays = world.gate.arrive("stays")
    before = world.living()
    world.kill()
    passes = world.root / "passes"
    world.arm("loop.session=stuck", log=passes)
    world.daemon = world.spawn()
    until(lambda: passes.exists() and "loop.session" in passes.read_text(encoding="ascii"))
    drained(world)
    world.start()
    assert world.living() == before
    stays.release()
    assert world.wait("a") == {"a": "succeeded"}
    tally(row="F31", **check(world).counts, note="told to leave while it started")


def test_a_starter_that_is_killed_takes_no_shim_along(tmp_path):
    """
    A drain in the middle of a start kills the program that waits for the shim; the agent is there all the same.
    """
    run = RunDir(tmp_path / "run")
    run.create(
        RunSpec(run="r", argv=["/bin/sh", "-c", "echo up; sleep 1; exit 7"], cwd="/", env={"PATH": "/bin:/usr/bin"})
    )
    # The shim waits here, before it starts the agent, for somebody to read.
    os.mkfifo(run.stdout)
    with subprocess.Popen([sys.executable, "-I", "-S", SHIM, run.path], stderr=subprocess.PIPE) as starter:
        until(run.shim_alive)
        starter.kill()
    with run.stdout.open("rb") as output:
        assert output.read() == b"up\n"
    until(lambda: run.exit.exists() and not run.shim_alive())
    record = run.exit_record()
    assert record is not None
    assert record.exit_code == 7


def held_up(fault_world: Callable[..., FaultWorld]) -> tuple[FaultWorld, threading.Thread]:
    """
    A daemon with an agent, whose disk hangs in the middle of a write; and the client that waits for that write.
    """
    world = fault_world(start=False)
    log = world.root / "passes"
    world.start(log=log)
    world.script("a", [gate("stays"), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("stays")
    world.kill()
    world.start("journal.begun=hang@3")
    caller = threading.Thread(target=submitting, args=(world, 0, []))
    caller.start()
    until(lambda: hangs(world.daemon.pid))
    return world, caller


def hangs(pid: int) -> bool:
    """
    True when a transaction was begun and is not going on: the journal's log of changes stays as it is, its lock is held.
    """
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any(f" WRITE {pid} " in line and "POSIX" in line for line in locks)


def handled(pid: int, number: int) -> bool:
    """
    True while the process catches the signal.
    """
    return masked(pid, "SigCgt", number)


def masked(pid: int, mask: str, number: int) -> bool:
    """
    True while the signal is in this *mask* of the process (proc(5): SigBlk, SigCgt).
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{mask}:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def goes_on(world: FaultWorld, before: dict[str, int]) -> None:
    assert len(before) == 1
    assert world.living() == before
    world.start()
    # The test's gate knows the agent's first arrival; it never left.
    assert world.living() == before


def wait_log(world: FaultWorld, event: str) -> None:
    until(lambda: f'"event": "{event}"' in world.log.read_text(encoding="utf-8"))


MUTANTS = (
    Mutant(
        "a signal ends a program that is not read yet",
        file="__main__.py",
        old="    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))\n",
        new="    pass\n",
        test="test_before_it_has_read_what_it_is_asked",
    ),
    Mutant(
        "a signal while the journal is read ends it as any program",
        file="edges/signals.py",
        old="        signal.signal(number, _leave)\n",
        new="        pass\n",
        test="test_while_it_reads_the_journal[recovery.rows_read]",
    ),
    Mutant(
        "a start is finished before a signal is obeyed",
        file="daemon.py",
        old="            hearing.start_soon(_leave, stopping, starting)\n",
        new="",
        test="test_while_it_tries_the_sandbox",
    ),
    Mutant(
        "live runs are taken up before a signal is obeyed",
        file="daemon.py",
        old="            loops.start_soon(_leave, stopping, loops.cancel_scope)\n            for part in parts:\n                await loops.start(part)\n",
        new="            for part in parts:\n                await loops.start(part)\n            loops.start_soon(_leave, stopping, loops.cancel_scope)\n",
        test="test_while_it_takes_up_live_runs",
    ),
    Mutant(
        "a drain may take as long as it likes",
        file="daemon.py",
        old="    timer.start()\n",
        new="",
        test="test_a_drain_that_is_held_up_is_cut",
    ),
    Mutant(
        "a second signal is passed over",
        file="edges/signals.py",
        old="signal.signal(number, signal.SIG_DFL)",
        new="signal.signal(number, signal.SIG_IGN)",
        test="test_a_second_signal_ends_it_at_once",
    ),
    Mutant(
        "only the event loop hears of signals",
        file="edges/signals.py",
        old="            for number in data:\n                act(number)\n",
        new="",
        test="test_a_daemon_whose_event_loop_hangs_leaves_all_the_same",
    ),
    Mutant(
        "a daemon that hangs is not ended by the second signal",
        file="edges/signals.py",
        old="            os.kill(os.getpid(), signal.SIGKILL)\n",
        new="            return\n",
        test="test_a_daemon_whose_event_loop_hangs_is_ended_by_the_second_signal",
    ),
    Mutant(
        "agents end with the daemon",
        file="runner/session.py",
        old="            self._intake.close()",
        new='            self._dir.tell("stop 0")',
        test="test_under_load",
    ),
    Mutant(
        "a shim dies with who started it",
        file="runner/shim.py",
        old="    with contextlib.suppress(BrokenPipeError):\n        os.write(ready_write",
        new="    with contextlib.suppress(ZeroDivisionError):\n        os.write(ready_write",
        test="test_a_starter_that_is_killed_takes_no_shim_along",
    ),
    Mutant(
        "what is started in the last moment is an error",
        file="services/runs.py",
        old="                self._group = None\n",
        new="                pass\n",
        test="test_while_agents_are_started[run.started]",
    ),
    Mutant(
        "checks outlive the daemon",
        file="runner/checks.py",
        old="        _end_group(process.pid)\n",
        new="",
        test="test_while_a_command_of_its_own_runs[check]",
    ),
    Mutant(
        "the daemon waits for the end of an agent that it cannot follow",
        file="runner/session.py",
        old="        with anyio.move_on_after(self._order.grace + SHIM_DEATH_GRACE + 1.0):",
        new="        with anyio.CancelScope(shield=True), anyio.move_on_after(self._order.grace + SHIM_DEATH_GRACE + 1.0):",
        test="test_while_an_agent_that_cannot_be_followed_is_ended",
    ),
)
