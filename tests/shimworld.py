"""
A real shim with a real process for an agent, in a run directory of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from factories import RUN
from orchestrd.ancestry import MARK
from orchestrd.runner.launch import SHIM, launch
from orchestrd.runner.sweep import end_heirs
from orchestrd.storage.rundir import ExitRecord, RunDir, RunSpec

PATIENCE = 60.0
ECHO = "import sys\nfor line in sys.stdin.buffer:\n    sys.stdout.buffer.write(line); sys.stdout.buffer.flush()\n"
FoundT = TypeVar("FoundT")


class Agent:
    """
    A run directory with an agent in it.
    """

    def __init__(self, path: Path) -> None:
        self.dir = RunDir(path)

    def spec(self, *argv: str, grace: float = 5.0, cwd: str = "", **env: str) -> RunSpec:
        """
        How it would be started.
        """
        environment = {"PATH": os.environ["PATH"], MARK: str(self.dir.path), **env}
        return RunSpec(run=RUN, argv=list(argv), cwd=cwd or str(self.dir.path), env=environment, grace=grace)

    async def start(self, *argv: str, **more) -> None:
        self.dir.create(self.spec(*argv, **more))
        await launch(self.dir)

    async def python(self, script: str, **more) -> None:
        """
        Start an agent that is a Python program.
        """
        await self.start(sys.executable, "-u", "-c", script, **more)

    @property
    def pids(self) -> dict[str, int]:
        return json.loads(self.dir.process.read_bytes())

    async def until(self, ready: Callable[[], FoundT]) -> FoundT:
        """
        The first true value of *ready*.
        """
        with anyio.fail_after(PATIENCE):
            while not (found := ready()):
                await anyio.sleep(0.005)
        return found

    async def ended(self) -> ExitRecord | None:
        """
        How it ended, once the shim is gone as well.
        """
        await self.until(lambda: self.dir.exit.exists() and not self.dir.shim_alive())
        return self.dir.exit_record()

    async def says(self, text: bytes) -> bytes:
        return await self.until(lambda: text in self.output and self.output)

    @property
    def output(self) -> bytes:
        return self.dir.stdout.read_bytes() if self.dir.stdout.exists() else b""


def copied_shim(folder: Path) -> Path:
    """
    The program of a copy of the shim in *folder*, with all it knows of the package, for every user to read.
    """
    beside = SHIM.parent
    for part in (SHIM, beside / "frame.py", beside / "inbox.py", beside / "processes.py", beside.parent / "locks.py"):
        copy = folder / part.name
        copy.write_bytes(part.read_bytes())
        copy.chmod(0o644)
    return folder / SHIM.name


@contextmanager
def shimmed(path: Path) -> Iterator[Agent]:
    """
    An `Agent` that is ended, whatever became of it.
    """
    agent = Agent(path)
    try:
        yield agent
    finally:
        for name in ("shim", "agent"):
            try:
                os.kill(agent.pids[name], signal.SIGKILL)
            except (ProcessLookupError, FileNotFoundError):
                continue
        end_heirs(agent.dir)


def alive(pid: int) -> bool:
    """
    True while the process runs; a zombie does not.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != b"Z"
