"""
Find and end processes of a run that have no shim any more.

A process belongs to a run when it carries the run's directory in its environment, or holds the run's ``agent.lock`` open, or
descends from one that does.  A process id alone proves nothing: before a signal, the process is held by a pidfd and looked
at again, so an innocent one that got a dead one's number is never touched.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from orchestrd.runner.launch import MARK
from orchestrd.runner.processes import comm, everyone, stat_of
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import is_shortage

KILLED_SECONDS = 5.0
"""How long a killed process may take to be gone: it may be in the middle of a write."""
ROUNDS = 20
"""Looks at the process table until nothing is left: what forks while it is looked for is found at the next."""


def heirs(rundir: RunDir) -> dict[int, str]:
    """
    Process id → name of every living process of the run, its shim left out.
    """
    found = {pid for pid in everyone() if _belongs(pid, rundir)}
    parents = {pid: stat[0] for pid in everyone() if (stat := stat_of(pid)) is not None}
    level = set(found)
    while level := {pid for pid, parent in parents.items() if parent in level} - found:
        found |= level
    return {pid: name for pid in found if pid != os.getpid() and (name := _name(pid))}


def end_heirs(rundir: RunDir) -> list[str]:
    """
    Kill them all.  Gives the names of those that were ended, without the agent's own.

    Raises `OSError` when the process table cannot be read now.
    """
    agent = rundir.agent_pid()
    names: dict[int, str] = {}
    for _ in range(ROUNDS):
        found = heirs(rundir)
        if not found:
            break
        names |= found
        for pid in found:
            _signal(pid, signal.SIGKILL, partial(_heir, rundir=rundir, known=found))
    return [name for pid, name in names.items() if pid != agent]


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
        if pid != os.getpid() and _holds(pid, rundir.shim_lock):
            _signal(pid, signal.SIGKILL, partial(_holds, lock=rundir.shim_lock))


def end_marked(name: str, value: str) -> list[str]:
    """
    Kill every process that has *name* set to *value* in its environment, and wait until it is gone.  Gives their names.

    Raises `OSError` when the process table cannot be read now.
    """
    names: list[str] = []
    for _ in range(ROUNDS):
        found = {pid: comm(pid) for pid in everyone() if pid != os.getpid() and _environ(pid, name) == value}
        if not found:
            break
        for pid, known in found.items():
            if _signal(pid, signal.SIGKILL, lambda pid: _environ(pid, name) == value, wait=KILLED_SECONDS):
                names.append(known)
    return names


def strays(logs: Path) -> dict[Path, set[int]]:
    """
    Run directory → its living marked processes, of every run whose directory is below *logs*.
    """
    found: dict[Path, set[int]] = {}
    for pid in everyone():
        marked = _mark(pid)
        if marked is not None and marked.is_relative_to(logs):
            found.setdefault(marked, set()).add(pid)
    return found


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
    return _belongs(pid, rundir) or ((stat := stat_of(pid)) is not None and stat[0] in known)


def _belongs(pid: int, rundir: RunDir) -> bool:
    if pid == os.getpid():
        return False
    return _mark(pid) == rundir.path or _holds(pid, rundir.agent_lock)


def _mark(pid: int) -> Path | None:
    """
    The run directory in the process's environment; None also for another user's process.
    """
    found = _environ(pid, MARK)
    return None if found is None else Path(found)


def _environ(pid: int, name: str) -> str | None:
    prefix = f"{name}=".encode()
    try:
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(prefix):
                return os.fsdecode(entry.removeprefix(prefix))
    except OSError as error:
        _gone(error)
    return None


def _holds(pid: int, lock: Path) -> bool:
    """
    True when the process has inherited the lock itself; one that merely looks whether it is free does not count.
    """
    try:
        wanted = lock.stat()
        handles = os.scandir(f"/proc/{pid}/fd")
    except OSError as error:
        _gone(error)
        return False
    with handles:
        for handle in handles:
            try:
                held = os.stat(handle.path)  # noqa: PTH116 - follows the handle to the open file
            except OSError:
                continue
            if (held.st_dev, held.st_ino) == (wanted.st_dev, wanted.st_ino) and _locked(pid, handle.name):
                return True
    return False


def _locked(pid: int, handle: str) -> bool:
    """
    True when the open file holds an exclusive flock(2): proc(5), ``fdinfo``.
    """
    try:
        text = Path(f"/proc/{pid}/fdinfo/{handle}").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        _gone(error)
        return False
    return any("FLOCK" in line and "WRITE" in line for line in text.splitlines() if line.startswith("lock:"))


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
