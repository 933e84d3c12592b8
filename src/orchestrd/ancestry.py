"""
Which run a process belongs to, and what is refused to those that belong to one.

A run's processes carry its directory in their environment, and descend from its shim.  A daemon that one of them started
would live and die with that run: its shim ends whatever the agent left, and a freeze stops it.  Nor may an agent answer its
own question, raise its own limit or cancel another's task.  An agent may take the mark out of the environment, so those
that it descends from are looked at too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from orchestrd.errors import InsideRun
from orchestrd.locks import held, raise_if_short

MARK = "ORCHESTRD_RUN_DIR"
"""Names the run in the environment of all its processes: a run's name alone is not unique to a home."""
SHIM_LOCK = "shim.lock"
"""In a run's directory, where its shim works; held by it."""
LOOKS = 20
"""At the ancestors of a process, until two say the same."""


def refuse_runs(what: str, environ: Mapping[str, str]) -> None:
    """
    Say that *what*, a command, is not for agents; returns when this process, whose environment is *environ*, is of no run.

    Raises `InsideRun`.
    """
    folder = environ.get(MARK) or run_of(os.getpid())
    if folder:
        alone = run_of(os.getppid()) is None
        raise InsideRun(
            f"{what}: this is a process of the run {run_name(folder)}, and an agent may only look",
            hint=f"{MARK} is set, and nothing here is of a run: unset it." if alone else "It is for the person to say.",
        )


def refuse_peer(what: str, pid: int, *, stops: bool = False) -> None:
    """
    Say that *what*, a command, is not for agents; returns when the process *pid*, which asks for it, is of no run.  Zero is one
    beyond our own namespace of processes, where no agent is (pid_namespaces(7)).

    Raises `InsideRun`, also for one that is gone: whose it was cannot be seen any more, and somebody else reads the answer.  Who only
    wants that work *stops* may be gone: a person may have given up on a daemon that hung, and has no other way.
    `OSError` when that cannot be looked at now.
    """
    if pid == 0:
        return
    if folder := run_of(pid):
        raise InsideRun(
            f"{what}: {about(pid)} is of the run {run_name(folder)}, and an agent may only look",
            hint="It is for the person to say.",
        )
    if not stops and not Path(f"/proc/{pid}").exists():
        raise InsideRun(
            f"{what}: process {pid}, which asks, is gone, and could have been an agent's",
            hint="Who asks must live until the answer comes.",
        )


def run_of(pid: int) -> str | None:
    """
    The directory of the run that the process belongs to: it, or one that it descends from, carries the mark or is the run's
    shim.  None for one of no run, or of which we may see nothing.

    Raises `OSError` when that cannot be looked at now.
    """
    for _ in range(LOOKS):
        parents: dict[int, int | None] = {}
        process: int | None = pid
        while process and process not in parents:
            folder = variable(process, MARK) or _watched(process)
            if folder:
                return folder
            parents[process] = parent = _parent(process)
            process = parent
        # One that ended during the look has left its children to another: to the shim, where it was an agent's.
        if all(_parent(process) == parent for process, parent in parents.items()):
            return None
    raise OSError(errno.EAGAIN, f"the processes above process {pid} come and go")


def run_name(folder: str | Path) -> str:
    """
    ``DAY/TASK/RUN`` of a run's directory.
    """
    return "/".join(Path(folder).parts[-3:])


def about(pid: int) -> str:
    """
    A process in a few words for the person: its number, and its name where it can be read.
    """
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = ""
    return f"process {pid} ({name})" if name else f"process {pid}"


def variable(pid: int, name: str) -> str | None:
    """
    What the process was started with as *name* in its environment; None without one, or where it may not be read.

    Raises `OSError` when it cannot be looked at now.
    """
    prefix = f"{name}=".encode()
    for entry in _read(pid, "environ").split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry.removeprefix(prefix))
    return None


def _watched(pid: int) -> str | None:
    """
    The directory of the run whose shim the process is.
    """
    try:
        folder = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    return str(folder) if held(pid, folder / SHIM_LOCK) else None


def _parent(pid: int) -> int | None:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else None


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError as error:
        raise_if_short(error)
        return b""
