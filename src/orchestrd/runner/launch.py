"""
Start a run's agent: its shim, which starts it and stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from orchestrd.errors import AgentError
from orchestrd.failpoint import failpoint
from orchestrd.runner.scopes import SCOPE_SECONDS, Scopes
from orchestrd.storage.rundir import RunDir, RunSpec
from orchestrd.storage.shortage import is_full, patiently

SHIM = Path(__file__).with_name("shim.py")
ROOM_SECONDS = 1.0
"""Between two tries to start an agent on a full disk."""


async def start(rundir: RunDir, spec: RunSpec, *, run: str, scopes: Scopes | None, unwanted: Callable[[], bool]) -> str:
    """
    Start the agent of *spec*, on a full disk when there is room, unless it is *unwanted* by then.

    Gives why it could not be started, or nothing; an agent that could not be started does not start later either.
    """
    while True:
        try:
            rundir.create(spec)
            failpoint("spawn.specified.before_exec")
            await launch(rundir, run=run, scopes=scopes)
            failpoint("spawn.executed")
        except (AgentError, OSError) as error:
            why = str(error)
            if is_full(error):
                await anyio.sleep(ROOM_SECONDS)
            if not is_full(error) or unwanted():
                break
        else:
            return ""
    # A daemon that died just now may have started it too, or it took longer than we waited: then a shim has the directory.
    return why if await patiently(lambda: anyio.to_thread.run_sync(rundir.bar, why)) else ""


async def launch(rundir: RunDir, *, run: str = "", scopes: Scopes | None = None) -> None:
    """
    Start the shim of *rundir*, in a scope of *scopes* where that can be had; returns once the agent runs.  Both outlive
    this process.

    Raises `AgentError` when the agent could not be started.
    """
    argv = [sys.executable, "-I", "-S", str(SHIM), str(rundir.path)]
    if scopes is not None and await _launch_in_scope(rundir, run, argv, scopes):
        return
    try:
        with anyio.fail_after(30):
            done = await anyio.run_process(argv, check=False, stdin=subprocess.DEVNULL, env=_surroundings())
    except (OSError, TimeoutError) as error:
        raise AgentError(f"the agent's shim could not be started: {error!r}") from None
    if done.returncode != 0:
        raise _not_started(done)


async def _launch_in_scope(rundir: RunDir, run: str, argv: list[str], scopes: Scopes) -> bool:
    """
    True when the agent runs in a scope; False when there was none to be had and nothing was started.

    Raises `AgentError` when its shim ran and could not start it.
    """
    while True:
        command = scopes.wrap(run, argv, _surroundings())
        try:
            with anyio.fail_after(SCOPE_SECONDS):
                done = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL, env=scopes.environ)
        except (OSError, TimeoutError) as error:
            why = repr(error)
        else:
            if done.returncode == 0:
                scopes.made()
                return True
            why = _said(done)
            # The shim makes its lock first of all: with one there, the failure is the shim's.
            if rundir.shim_lock.exists():
                raise _not_started(done)
        if not scopes.failed(why):
            return False


def _not_started(done: subprocess.CompletedProcess[bytes]) -> AgentError:
    return AgentError(f"the agent could not be started: {_said(done) or f'shim exit status {done.returncode}'}")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace").strip()


def _surroundings() -> dict[str, str]:
    """
    The shim's own environment: nothing of the daemon's but its failpoints, when it is being tested.
    """
    testing = os.environ.get("ORCHESTRD_TESTING") == "1"
    points = {name: value for name, value in os.environ.items() if testing and name.startswith("ORCHESTRD_")}
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **points}
