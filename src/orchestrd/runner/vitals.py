"""
What lives of an agent, as the kernel tells: proc(5).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from orchestrd.runner.sweep import heirs
from orchestrd.runner.watchdog import Vitals
from orchestrd.storage.rundir import RunDir

_TICKS = os.sysconf("SC_CLK_TCK")
EVER = 0.0
"""Before every process: the machine's start."""


def since_boot() -> float:
    """
    Seconds since the machine started, which is what the start of a process is told in.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def vitals(rundir: RunDir, since: float) -> Vitals:
    """
    The living processes of the run, its shim left out: those begun *since* then (`since_boot`), without the first of all, which is the
    agent, and the processor time that all of them and their ended children have used.

    Raises `OSError` when the process table cannot be read now.
    """
    found = sorted(stat for pid in heirs(rundir) if (stat := _stat(pid)) is not None)
    return Vitals(commands=sum(begun >= since for begun, _ in found[1:]), cpu=sum(cpu for _, cpu in found))


def _stat(pid: int) -> tuple[float, float] | None:
    """
    When a process began and the processor seconds it has used; None when it is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # starttime is field 22, utime, stime, cutime and cstime are 14 to 17, of which the state is the third.
    return int(fields[19]) / _TICKS, sum(int(field) for field in fields[11:15]) / _TICKS
