"""
Measure the room that agents have: asked before anything starts, and again while something waits for it.
"""

from __future__ import annotations

import shutil

import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.domain.room import Room, Stock
from orchestrd.runner.memory import held, memory
from orchestrd.services.settings import Settings
from orchestrd.storage.home import Home

FRESH_SECONDS = 1.0
"""A measurement this young is not taken again, however many changes there are."""


class Admission:
    """
    The *room* as it was last measured; empty before the first time, and of what nothing is promised.
    """

    def __init__(self, home: Home, settings: Settings, clock: Clock) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._looked_at: float | None = None
        self.room: Room = ()

    async def look(self) -> None:
        """
        Measure, unless it was done a moment ago.
        """
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= FRESH_SECONDS:
            self.room = await anyio.to_thread.run_sync(lambda: (*self._memory(), *self._disks()))
            self._looked_at = now

    def _memory(self) -> list[Stock]:
        promise, logs = self._settings.memory, self._home.logs
        if not promise.each:
            return []
        # What runs hold is read first, so that what they take meanwhile is never counted as both theirs and free.
        used = {str(folder.relative_to(logs)): number for folder, number in held(logs).items()}
        found = memory()
        if found is None:
            return []
        return [Stock(name="memory", promise=promise, total=found.total, free=found.available, used=used)]

    def _disks(self) -> list[Stock]:
        """
        The file systems on which a run leaves its tree, and its stream and snapshots.

        How much of its promise a tree has taken is not measured: that would be a walk through all of it.  An agent may
        write as much again at any time, so the whole promise is kept for as long as it lives.
        """
        promise = self._settings.disk
        found: dict[int, Stock] = {}
        for folder in (self._home.var, self._home.workspaces) if promise.each else ():
            try:
                device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
            except OSError:
                continue  # whoever writes there will say so
            found[device] = Stock(name="disk", promise=promise, total=usage.total, free=usage.free)
        return [*found.values()]
