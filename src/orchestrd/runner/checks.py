"""
Run a shell command in a working tree and keep its evidence: a task's checks, and what makes a fresh tree ready.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import anyio

from orchestrd.clock import Clock
from orchestrd.domain.events import CheckResult
from orchestrd.domain.model import Check


async def run_check(check: Check, *, tree: Path, env: dict[str, str], log: Path, clock: Clock) -> CheckResult:
    """
    Run ``check.run`` with ``/bin/sh -c`` in *tree*; its output goes to *log*.  Its whole process group is ended after
    ``check.timeout`` seconds.
    """
    began = clock.monotonic()
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        process = await anyio.open_process(
            ["/bin/sh", "-c", check.run],
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
        with anyio.move_on_after(check.timeout):
            await process.wait()
            status = "passed" if process.returncode == 0 else "failed"
    finally:
        # Also what the command left running: a check has no business after its end.
        _end_group(process.pid)
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await process.wait()
    return CheckResult(
        name=check.name,
        status=status,
        exit_code=process.returncode if status != "timed_out" else None,
        seconds=round(clock.monotonic() - began, 3),
        log=str(log),
    )


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
