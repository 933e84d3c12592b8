"""
A clock of its own for a test and its daemon: it runs as the machine's does, and jumps ahead when the test says so.

What it says lies in a file that both have mapped.  Run as a program this is the daemon, whole, on such a clock: its wall and
monotonic time and the time of its event loop are the file's, so whatever it waits for comes when the clock has jumped there.
"""

from __future__ import annotations

import asyncio
import faulthandler
import mmap
import os
import selectors
import sys
import time
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import anyio

_GLANCE = 0.01
"""Seconds after which the event loop looks whether the clock has jumped."""


class VirtualClock:
    """
    The clock in the file *path*.
    """

    def __init__(self, path: Path, *, begin: float | None = None) -> None:
        """
        One that exists, or, with *begin*, a new one that shows this wall time now.
        """
        if begin is not None:
            path.write_bytes(bytes(24))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 24)
        # One write of eight aligned bytes is seen whole or not at all.
        self._cells = memoryview(self._map).cast("d")
        if begin is not None:
            self._cells[0] = begin - time.time()

    def wall(self) -> float:
        return time.time() + self._cells[0] + self._cells[1]

    def monotonic(self) -> float:
        return time.monotonic() + self._cells[1]

    def zone(self) -> tzinfo:
        return UTC

    def jump(self, seconds: float) -> None:
        """
        Be so much later from now on.
        """
        self._cells[1] += seconds

    def reached(self) -> None:
        """
        Say that all that was due at the last jump is done.
        """
        self._cells[2] = self._cells[1]

    @property
    def followed(self) -> bool:
        """
        True once whoever lives by this clock has done what was due at the last jump.
        """
        return self._cells[2] == self._cells[1]

    def close(self) -> None:
        self._cells.release()
        self._map.close()


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout > 0:
            # Nothing can be done at once, and no timer is due.
            self._clock.reached()
            timeout = _GLANCE if timeout is None else min(timeout, _GLANCE)
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.monotonic()


def main(path: Path, home: Path) -> None:
    """
    Serve *home* by the clock in *path*.
    """
    from orchestrd.config import load_config
    from orchestrd.daemon import serve
    from orchestrd.logs import configure_logging

    faulthandler.enable()
    os.umask(0o077)
    clock = VirtualClock(path)
    configure_logging(load_config(home).log_level, sys.stderr)
    serving = partial(serve, home, dict(os.environ), clock=clock)
    anyio.run(serving, backend="asyncio", backend_options={"loop_factory": lambda: _Loop(clock)})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
