"""
F24: the recorded process ids belong to somebody else by now.  The innocent is never signalled, and the run is settled by its
locks and its exit record.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, say, stream
from kit.script import DAY, task

from orchestrd.ancestry import MARK
from orchestrd.runner.liveness import Finding, look
from orchestrd.runner.sweep import end_heirs, end_shim
from orchestrd.storage.rundir import RunDir

SOURCE = Path(__file__).parents[2] / "src"
MUTANTS = (
    Mutant(
        "the recorded process is the agent",
        file="runner/sweep.py",
        old="    if pid == os.getpid():\n        return False\n    return _mark",
        new="    if pid == os.getpid():\n        return False\n    if pid == rundir.agent_pid():\n        return True\n    return _mark",
        test="test_an_innocent_process_sits_on_the_recorded_numbers[both]",
    ),
    Mutant(
        "a run lives while its process id does",
        file="storage/rundir.py",
        old="        return _held(self.shim_lock)\n",
        new='        return _held(self.shim_lock) or (self.agent_pid() is not None and Path(f"/proc/{self.agent_pid()}").exists())\n',
        test="test_an_innocent_process_sits_on_the_recorded_numbers[both]",
    ),
    Mutant(
        "who was found is killed by number, whoever it is by then",
        file="runner/sweep.py",
        old="        if not meant(pid):\n",
        new="        if False:\n",
        test="test_a_number_that_is_given_away_between_the_look_and_the_signal",
    ),
    Mutant(
        "the shim signals whom its record names",
        file="runner/shim.py",
        old="                    self._tell(signal.SIGTERM)\n",
        new='                    with open("process.json", "rb") as file:\n'
        '                        send(json.load(file)["agent"], signal.SIGTERM)\n',
        test="test_a_live_run_is_cancelled_and_the_recorded_number_is_somebody_elses",
    ),
    Mutant(
        "a shim that hangs is killed by its recorded number",
        file="runner/sweep.py",
        old="    for pid in everyone():\n        if pid != os.getpid() and held(pid, rundir.shim_lock):\n"
        "            _signal(pid, signal.SIGKILL, partial(held, lock=rundir.shim_lock))\n",
        new="    import json\n\n    from orchestrd.runner.processes import send\n\n"
        '    send(json.loads(rundir.process.read_bytes())["shim"], signal.SIGKILL)\n',
        test="test_a_number_that_is_really_used_again",
    ),
    Mutant(
        "an agent lives while its recorded number is taken",
        file="storage/rundir.py",
        old="        return _held(self.agent_lock)\n",
        new='        return _held(self.agent_lock) or Path(f"/proc/{self.agent_pid()}").exists()\n',
        test="test_locks_and_record_are_all_that_counts",
    ),
)


@contextmanager
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """
    A process that has nothing to do with anything, and writes down every signal it gets.
    """
    code = (
        "import signal, sys, time\n"
        "def told(number, _): print(number, flush=True)\n"
        "for number in (1, 2, 10, 12, 15, 18): signal.signal(number, told)\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-S", "-u", "-c", code], env={}, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


def untouched(process: subprocess.Popen[bytes]) -> bool:
    """
    True when it lives and was told nothing.
    """
    # A kill may still be on its way: one that answers was not killed before.
    process.send_signal(signal.SIGUSR2)
    ready = select.select([process.stdout], [], [], 20.0)[0]
    return bool(ready) and process.stdout.readline() == b"%d\n" % signal.SIGUSR2


def rewrite(world: Any, run: str, **numbers: int) -> None:
    """
    Other numbers in a run's record.
    """
    path = world.run_dir(run) / "process.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **numbers}))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["agent", "shim", "both"])
def test_an_innocent_process_sits_on_the_recorded_numbers(fault_world, tally, what):
    """
    After a reboot: nothing of the run lives, and its numbers were given to others.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("here"), say()], [stream(1), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("here")
    mine = json.loads((world.run_dir("a/1") / "process.json").read_bytes())
    world.kill()
    for name in ("shim", "agent"):
        os.kill(mine[name], signal.SIGKILL)
    with innocent() as shim, innocent() as agent:
        rewrite(
            world,
            "a/1",
            **({"shim": shim.pid} if what != "agent" else {}),
            **({"agent": agent.pid} if what != "shim" else {}),
        )
        world.start()
        exited = world.wait_event("run.exited", run=f"{DAY}/a/1", timeout=30.0)["event"]
        assert (exited["outcome"], exited["leftovers"]) == ("abandoned", 0)
        # Cancelling, sweeping, ending: every way by which a run's processes are signalled.
        assert world.wait() == {"a": "succeeded"}
        world.restart()
        assert untouched(shim)
        assert untouched(agent)
    tally("F24", kills=4, **check(world).counts)


@pytest.mark.slow
def test_a_live_run_is_cancelled_and_the_recorded_number_is_somebody_elses(fault_world, tally):
    """
    What is recorded is for show: the shim signals its own child.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("here"), say()])
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("here")
    with innocent() as other:
        rewrite(world, "a/1", agent=other.pid, shim=other.pid)
        world.write("task.cancel", tasks=["a"])
        assert world.wait() == {"a": "cancelled"}
        assert not Path(f"/proc/{held.pid}").exists()
        assert untouched(other)
    tally("F24", kills=1)


def test_a_number_that_is_given_away_between_the_look_and_the_signal(tmp_path, monkeypatch):
    """
    A process of the run was found; when the signal is due, its number is another's.
    """
    from orchestrd.runner import sweep

    rundir = RunDir(tmp_path)
    rundir.agent_lock.touch()
    with innocent() as other, ExitStack() as stack:
        looks: list[int] = []

        def found(_: RunDir) -> dict[int, str]:
            looks.append(1)
            return {other.pid: "agent"} if len(looks) == 1 else {}

        stack.enter_context(monkeypatch.context()).setattr(sweep, "heirs", found)
        end_heirs(rundir)
        end_shim(rundir)
        assert looks
        assert untouched(other)


INSIDE = """\
import json, os, signal, subprocess, sys
from pathlib import Path
from orchestrd.ancestry import MARK
from orchestrd.runner.liveness import look
from orchestrd.runner.sweep import end_heirs, end_shim
from orchestrd.storage.rundir import RunDir

rundir = RunDir(Path(sys.argv[1]))
rundir.shim_lock.touch()
rundir.agent_lock.touch()
first = subprocess.Popen(["sleep", "600"], env={MARK: str(rundir.path), "PATH": os.environ["PATH"]})
rundir.process.write_text(json.dumps({"shim": first.pid, "agent": first.pid, "started_at": 0.0}))
first.kill()
first.wait()
# The next process gets the very same number: pid_namespaces(7), ns_last_pid.
Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
second = subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"]})
found = str(look(rundir))
ended = end_heirs(rundir)
end_shim(rundir)
# A kill may still be on its way: one that ends by another signal was not killed before.
second.send_signal(signal.SIGUSR1)
print(json.dumps({"same": second.pid == first.pid, "found": found, "ended": ended, "status": second.wait()}))
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare(1) is needed")
def test_a_number_that_is_really_used_again(tmp_path, tally):
    """
    A process id namespace of its own, in which the kernel gives the dead agent's number to another process.
    """
    command = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("namespaces are not allowed here")
    done = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(INSIDE), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", str(SOURCE))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    untouched = {"same": True, "found": "abandoned", "ended": [], "status": -signal.SIGUSR1}
    assert json.loads(done.stdout) == untouched
    tally("F24", note="a number really used again, in a namespace")


def test_locks_and_record_are_all_that_counts(tmp_path):
    """
    The record names processes that live; nothing of the run does.
    """
    rundir = RunDir(tmp_path)
    rundir.shim_lock.touch()
    with innocent() as other:
        rundir.process.write_text(json.dumps({"shim": other.pid, "agent": other.pid, "started_at": 0.0}))
        assert look(rundir) is Finding.ABANDONED
        assert end_heirs(rundir) == []
        assert untouched(other)
    assert os.environ.get(MARK) is None
