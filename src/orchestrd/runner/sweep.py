"""
Find and end processes of a run that have no shim any more.

A process belongs to a run when it carries the run's directory in its environment, or holds the run's ``agent.lock`` open, or
descends from one that does.  A process id alone proves nothing: before a signal, the process is held by a pidfd and looked
at again, so an innocent one that got a dead one's number is never touched.

The daemon of the home belongs to no run, whatever started it and whatever its environment says.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from orchestrd.address import LOCK_FILE
from orchestrd.ancestry import MARK, variable
from orchestrd.locks import daemon, held
from orchestrd.runner.processes import comm, everyone, stat_of
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import is_shortage

KILLED_SECONDS = 5.0
"""How long a killed process may take to be gone: it may be in the middle of a write."""
ROUNDS = 20
"""Looks at the process table until nothing is left: what forks while it is looked for is found at the next."""


def heirs(rundir: RunDir) -> dict[int, str]:
    """
    Process id → name of every living process of the run, parents first, its shim left out.
    """
    apart = {os.getpid(), daemon(rundir.home_lock)}
    found = {pid for pid in everyone() if _belongs(pid, rundir)} - apart
    parents = {pid: stat[0] for pid in everyone() if (stat := stat_of(pid)) is not None}
    level = set(found)
    while level := {pid for pid, parent in parents.items() if parent in level} - found - apart:
        found |= level
    return {pid: name for pid in sorted(found, key=partial(_depth, parents=parents)) if (name := _name(pid))}


def end_heirs(rundir: RunDir) -> list[str]:
    """
    Kill them all.  Gives the names of those that were ended, without the agent's own.

    Raises `OSError` when the process table cannot be read now.
    """
    own = {rundir.agent_pid(), *rundir.own_pids()}
    names: dict[int, str] = {}
    for _ in range(ROUNDS):
        found = heirs(rundir)
        if not found:
            break
        names |= found
        # Last ones first: the end of a parent would wake its stopped children (an orphaned process group gets SIGCONT).
        for pid in reversed(found):
            _signal(pid, signal.SIGKILL, partial(_heir, rundir=rundir, known=found))
    return [name for pid, name in names.items() if pid not in own]


def ask_heirs(rundir: RunDir) -> list[int]:
    """
    Ask them all to end, with TERM.  Gives the ids of those that were asked.
    """
    found = heirs(rundir)
    return [pid for pid in found if _signal(pid, signal.SIGTERM, partial(_heir, rundir=rundir, known=found))]


def end_shim(rundir: RunDir) -> None:
    """
    Kill the shim: a last resort, for one that does nothing any more.
    """
    for pid in everyone():
        if pid != os.getpid() and held(pid, rundir.shim_lock):
            _signal(pid, signal.SIGKILL, partial(held, lock=rundir.shim_lock))


def end_silent(pids: list[int], lock: Path) -> list[str]:
    """
    Kill those of *pids* that have the home's *lock* and do not say so in it, and wait until each is gone.  Gives their names.

    Raises `OSError` when they cannot be looked at now.
    """
    names = {pid: comm(pid) for pid in pids if pid != os.getpid()}

    def silent(pid: int) -> bool:
        return held(pid, lock, shared=True) and pid != daemon(lock)

    return [name for pid, name in names.items() if _signal(pid, signal.SIGKILL, silent, wait=KILLED_SECONDS)]


def end_marked(name: str, value: str) -> list[str]:
    """
    Kill every process that has *name* set to *value* in its environment, and wait until it is gone.  Gives their names.

    Raises `OSError` when the process table cannot be read now.
    """
    names: list[str] = []
    for _ in range(ROUNDS):
        found = {pid: comm(pid) for pid in everyone() if pid != os.getpid() and variable(pid, name) == value}
        if not found:
            break
        for pid, known in found.items():
            if _signal(pid, signal.SIGKILL, lambda pid: variable(pid, name) == value, wait=KILLED_SECONDS):
                names.append(known)
    return names


def strays(logs: Path) -> dict[Path, set[int]]:
    """
    Run directory → its living marked processes, of every run whose directory is below *logs*; without the home's daemon.
    """
    found: dict[Path, set[int]] = {}
    apart = daemon(home_lock(logs))
    for pid in everyone():
        marked = _mark(pid)
        if marked is not None and marked.is_relative_to(logs) and pid != apart:
            found.setdefault(marked, set()).add(pid)
    return found


def home_lock(logs: Path) -> Path:
    """
    The lock of the home whose runs are below *logs*.
    """
    return logs.parent / Path(LOCK_FILE).name


def _signal(pid: int, number: int, meant: Callable[[int], bool], *, wait: float = 0.0) -> bool:
    """
    Signal the process if it is the one that is *meant*, and *wait* so many seconds for its end; True when it was.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        _gone(error)
        return False
    try:
        # The handle is of whatever has the number now: only now is it worth looking.
        if not meant(pid):
            return False
        signal.pidfd_send_signal(handle, number)
        if wait:
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            ended.poll(wait * 1000)
    except OSError as error:
        _gone(error)
        return False
    finally:
        os.close(handle)
    return True


def _heir(pid: int, rundir: RunDir, known: dict[int, str]) -> bool:
    if pid == daemon(rundir.home_lock):
        return False
    return _belongs(pid, rundir) or ((stat := stat_of(pid)) is not None and stat[0] in known)


def _depth(pid: int, parents: Mapping[int, int]) -> int:
    depth = 0
    # A table that was read while it changed may lead round in a circle.
    while (pid := parents.get(pid, 0)) and depth < len(parents):
        depth += 1
    return depth


def _belongs(pid: int, rundir: RunDir) -> bool:
    if pid == os.getpid():
        return False
    return _mark(pid) == rundir.path or held(pid, rundir.agent_lock)


def _mark(pid: int) -> Path | None:
    """
    The run directory in the process's environment; None also for another user's process.
    """
    found = variable(pid, MARK)
    return None if found is None else Path(found)


def _name(pid: int) -> str:
    """
    The process's own name; empty for one that is gone or a zombie.
    """
    found = stat_of(pid)
    return "" if found is None or found[1] in "ZX" else comm(pid)


def _gone(error: OSError) -> None:
    """
    The process ended, or is another user's: nothing to be done.  That we cannot look now is something else.
    """
    if is_shortage(error):
        raise error
