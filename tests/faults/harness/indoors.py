"""
A daemon inside the test: its clock is moved by hand, and everything around it stays real.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import anyio
import anyio.to_thread
from kit.ground import Ground

from orchestrd.address import LOCK_FILE
from orchestrd.daemon import serve

DoneT = TypeVar("DoneT")


class MovedClock:
    """
    The machine's clocks, set forward and back: *shift* seconds are added to the wall time, *passed* to the monotonic.
    """

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.shift = 0.0
        self.passed = 0.0
        self._zone = zone

    def wall(self) -> float:
        return time.time() + self.shift

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    def zone(self) -> tzinfo:
        return self._zone

    def pass_by(self, seconds: float) -> None:
        """
        Time goes by on both clocks.
        """
        self.shift += seconds
        self.passed += seconds


async def work_on(world: Ground, clock: MovedClock, seconds: int, *, loop: str = "session", sessions: int = 1) -> None:
    """
    Time goes by, and the daemon, whose *loop* goes round meanwhile, sees it go: of each of so many *sessions*.
    """
    for _ in range(seconds // 4):
        clock.pass_by(4)
        await aside(world.rounds, loop, 2 * sessions)


@asynccontextmanager
async def serving(world: Ground, clock: MovedClock) -> AsyncIterator[None]:
    """
    A daemon on *world*, made without one; at the end it is gone at once, its agents are not.
    """
    # As the program does before it serves.
    before = os.umask(0o077)
    # What a daemon of its own process would be told by its environment, this one is told by ours.
    told = {name: value for name, value in world.environ.items() if name.startswith("ORCHESTRD_")}
    try:
        with patch.dict(os.environ, told):
            async with anyio.create_task_group() as group:
                await group.start(functools.partial(serve, world.home, world.environ, clock=clock))
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
    finally:
        os.umask(before)
    # The lock dies with the process that holds it, and this one lives on.
    for name in os.listdir("/proc/self/fd"):
        try:
            held = Path("/proc/self/fd", name).readlink() == world.home / LOCK_FILE
        except OSError:
            continue
        if held:
            os.close(int(name))


async def aside(act: Callable[..., DoneT], *args: Any, **more: Any) -> DoneT:
    """
    What the blocking *act* gives, done beside the daemon's loop.
    """
    return await anyio.to_thread.run_sync(functools.partial(act, *args, **more), abandon_on_cancel=True)
