"""
Whether an agent is at something, asked of real processes.
"""

import subprocess
import sys

import msgspec
import pytest
from kit.processes import until

from orchestrd.runner.vitals import busy
from orchestrd.storage.rundir import ProcessRecord, RunDir

ACTS = {
    "computes": ("while True: pass", True),
    "waits": ("import signal; signal.pause()", False),
    "computes beside": (
        "import signal, threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nsignal.pause()",
        True,
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_who_runs_is_busy_and_who_waits_is_not(tmp_path, act):
    script, works = ACTS[act]
    rundir = RunDir(tmp_path)
    with subprocess.Popen([sys.executable, "-c", script]) as agent:
        try:
            rundir.process.write_bytes(msgspec.json.encode(ProcessRecord(shim=1, agent=agent.pid)))
            until(lambda: busy(rundir) is works)
        finally:
            agent.kill()
    assert not busy(rundir)


def test_of_whom_nothing_is_written_down_is_not_busy(tmp_path):
    assert not busy(RunDir(tmp_path))
