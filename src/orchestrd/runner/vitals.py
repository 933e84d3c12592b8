"""
What lives of an agent, as the kernel tells: proc(5).
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

from orchestrd.runner.processes import threads
from orchestrd.runner.sweep import heirs
from orchestrd.runner.watchdog import Vitals
from orchestrd.storage.rundir import RunDir

_TICKS = os.sysconf("SC_CLK_TCK")
EVER = 0.0
"""Before every process: the machine's start."""
NEVER = float("inf")
"""After every process."""


def since_boot() -> float:
    """
    Seconds since the machine started, which is what the start of a process is told in.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def vitals(rundir: RunDir, since: float) -> Vitals:
    """
    The living processes of the run, its shim and what is ours around the agent left out: those begun *since* then (`since_boot`), without the first of all, which is the
    agent, the processor time that all of them and their ended children have used, and what the others did of it.

    Raises `OSError` when the process table cannot be read now.
    """
    own = rundir.own_pids()
    found = sorted((*times, pid) for pid in heirs(rundir).keys() - own if (times := _times(pid)) is not None)
    beside = [pid for _, _, pid in found[1:]]
    return Vitals(
        commands=sum(begun >= since for begun, _, _ in found[1:]),
        cpu=sum(cpu for _, cpu, _ in found),
        beside=len(beside),
        beside_cpu=sum(cpu for _, cpu, _ in found[1:]),
        written=sum(map(_written, beside)),
        spoken=sum(dict(file for pid in beside for file in _spoken(pid)).values()),
    )


def busy(rundir: RunDir) -> bool:
    """
    True when a thread of the agent's own process runs, or waits for a processor or a disk, now.
    """
    pid = rundir.agent_pid()
    return pid is not None and any(state in "RD" for state in threads(pid).values())


def _times(pid: int) -> tuple[float, float] | None:
    """
    When a process began and the processor seconds it has used; None when it is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # starttime is field 22, utime, stime, cutime and cstime are 14 to 17, of which the state is the third.
    return int(fields[19]) / _TICKS, sum(int(field) for field in fields[11:15]) / _TICKS


def _written(pid: int) -> int:
    """
    Bytes that a process and its ended children have handed to write(2), for whatever they were meant; 0 when that is not told.
    """
    try:
        lines = Path(f"/proc/{pid}/io").read_bytes().splitlines()
    except OSError:
        return 0
    return sum(int(line.removeprefix(b"wchar:")) for line in lines if line.startswith(b"wchar:"))


def _spoken(pid: int) -> list[tuple[tuple[int, int], int]]:
    """
    The files to which the output of a process goes, each with its size.
    """
    found = []
    for number in (1, 2):
        with contextlib.suppress(OSError):
            file = Path(f"/proc/{pid}/fd/{number}").stat()
            if stat.S_ISREG(file.st_mode):
                found.append(((file.st_dev, file.st_ino), file.st_size))
    return found
