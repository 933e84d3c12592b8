"""
Start a run's shim, and end what a dead shim left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio

from orchestrd.errors import AgentError
from orchestrd.storage.rundir import RunDir

SHIM = Path(__file__).with_name("shim.py")
MARK = "ORCHESTRD_RUN_DIR"
"""Names the run in the environment of all its processes: a run's name alone is not unique to a home."""


async def launch(rundir: RunDir) -> None:
    """
    Start the shim of *rundir*; returns once the agent runs.  Both outlive this process.

    Raises `AgentError` when the agent could not be started.
    """
    argv = [sys.executable, "-I", "-S", str(SHIM), str(rundir.path)]
    try:
        with anyio.fail_after(30):
            done = await anyio.run_process(
                argv, check=False, stdin=subprocess.DEVNULL, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
            )
    except (OSError, TimeoutError) as error:
        raise AgentError(f"the agent's shim could not be started: {error!r}") from None
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip()
        raise AgentError(f"the agent could not be started: {detail or f'shim exit status {done.returncode}'}")


def end_marked(rundir: RunDir) -> int:
    """
    Kill every process of the run that lives without a shim: those of this user that carry its directory in their
    environment.  Gives how many there were.
    """
    wanted = os.fsencode(f"{MARK}={rundir.path}")
    count = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                count += 1
        except OSError:
            continue  # gone meanwhile, or another user's
    return count
