"""
What lives of an agent, as the kernel tells: proc(5).
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestrd.runner.sweep import heirs
from orchestrd.runner.watchdog import Vitals
from orchestrd.storage.rundir import RunDir

_TICKS = os.sysconf("SC_CLK_TCK")


def vitals(rundir: RunDir) -> Vitals:
    """
    The living processes of the run, its shim left out, and the processor time they and their ended children have used.

    Raises `OSError` when the process table cannot be read now.
    """
    found = heirs(rundir)
    return Vitals(processes=len(found), cpu=sum(map(_cpu, found)))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, cutime, cstime: fields 14 to 17, of which the state is the third.
    return sum(int(field) for field in fields[11:15]) / _TICKS
