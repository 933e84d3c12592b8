"""
Run a shell command in a working tree and keep its evidence: a task's checks, and what makes a fresh tree ready.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from orchestrd.ancestry import MARK
from orchestrd.clock import Clock, StillClock
from orchestrd.domain.events import CheckResult
from orchestrd.domain.model import Check
from orchestrd.errors import DiskFull
from orchestrd.runner.sweep import end_heirs
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import no_room, patiently

END_SECONDS = 5.0
"""How long the end of what a command left running may be held up by a shortage."""


class Overseer(Protocol):
    """
    Who knows whether commands may run now.
    """

    @property
    def frozen(self) -> bool:
        """
        True while nothing may run; what runs already is stopped by others.
        """
        ...

    def changes(self) -> anyio.Event:
        """
        Set when *frozen* may have changed.
        """


Wrap = Callable[[list[str]], tuple[list[str], dict[str, str]]]
"""A command line → that of the sandbox it is run in, and the environment there."""


async def run_check(
    check: Check,
    *,
    rundir: RunDir,
    tree: Path,
    env: dict[str, str],
    log: Path,
    clock: Clock,
    overseer: Overseer,
    wrap: Wrap | None = None,
) -> CheckResult:
    """
    Run ``check.run`` with ``/bin/sh -c`` in *tree*, marked as of the run of *rundir*, which has no living agent; its output
    goes to *log*.  *wrap* puts it into a sandbox.  It is ended after ``check.timeout`` seconds.  However it ends, everything that it started ends with it.
    Nothing is begun, and no second is counted, while *overseer* says that all is frozen.

    Raises `DiskFull` when it failed and there is no room: nobody can say whether it would have.  Raises `OSError`.
    """
    argv = ["/bin/sh", "-c", check.run]
    try:
        if wrap is not None:
            argv, env = await anyio.to_thread.run_sync(wrap, argv)
        marked = {**env, MARK: str(rundir.path)}
        return await _run(check, argv, tree=tree, env=marked, log=log, clock=clock, overseer=overseer)
    finally:
        # What left the command's process group, too: it would work in the tree beside what comes next.
        with anyio.CancelScope(shield=True), anyio.move_on_after(END_SECONDS):
            await end_commands(rundir)


async def end_commands(rundir: RunDir) -> None:
    """
    End what lives of a run that has no living agent: commands of a daemon that died, or what a command left running.
    """
    await patiently(lambda: anyio.to_thread.run_sync(end_heirs, rundir))


async def _run(
    check: Check, argv: list[str], *, tree: Path, env: dict[str, str], log: Path, clock: Clock, overseer: Overseer
) -> CheckResult:
    watch = StillClock(clock)
    await _released(overseer)
    began = watch.monotonic()
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A new file: the agent may have put a link to another one in its place.
    log.unlink(missing_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Whoever calls it off in the midst of its start could not tell what there is to kill.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                argv,
                cwd=tree,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                start_new_session=True,
            )
    except OSError as error:
        os.write(fd, f"could not be run: {error}\n".encode())
        return CheckResult(name=check.name, status="error", log=str(log))
    finally:
        os.close(fd)
    status = "timed_out"
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_after, check.timeout, watch, overseer, group.cancel_scope)
            await process.wait()
            status = "passed" if process.returncode == 0 else "failed"
            group.cancel_scope.cancel()
    finally:
        _end_group(process.pid)
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await process.wait()
    if status == "failed" and (no_room(tree) or no_room(log.parent)):
        raise DiskFull(f"`{check.name}` failed, and there is no room on the disk")
    return CheckResult(
        name=check.name,
        status=status,
        exit_code=process.returncode if status != "timed_out" else None,
        seconds=round(watch.monotonic() - began, 3),
        log=str(log),
    )


async def _released(overseer: Overseer) -> None:
    while True:
        changes = overseer.changes()
        if not overseer.frozen:
            return
        await changes.wait()


async def _cancel_after(limit: float, watch: StillClock, overseer: Overseer, scope: anyio.CancelScope) -> None:
    """
    Cancel *scope* once *limit* seconds have passed in which nothing was frozen.
    """
    end = watch.monotonic() + limit
    while True:
        changes, frozen = overseer.changes(), overseer.frozen
        watch.stand(still=frozen)
        left = end - watch.monotonic()
        if left <= 0:
            break
        with anyio.move_on_after(None if frozen else left):
            await changes.wait()
    scope.cancel()


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
