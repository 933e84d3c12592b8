"""
Which runs are carried, and for how long.
"""

from __future__ import annotations

import anyio
import msgspec
import pytest

from factories import LIMITS, FixedClock
from orchestrd.config import Config, packaged_prices
from orchestrd.services.bus import Bus
from orchestrd.services.pulse import Pulse
from orchestrd.services.questions import Questions
from orchestrd.services.runs import Runs
from orchestrd.services.settings import settings_from
from orchestrd.services.store import Store
from orchestrd.storage.home import Home

pytestmark = pytest.mark.anyio


async def test_nothing_is_begun_beside_runs_that_are_being_left(tmp_path, monkeypatch):
    """
    The scheduler may have recorded a start in the very moment of a drain: the next daemon takes that run up.
    """
    home, bus, clock = Home(tmp_path), Bus(), FixedClock()
    home.create()
    store = Store(home.database, bus, clock)
    settings = settings_from(msgspec.convert({"project": "."}, Config), packaged_prices())
    runs = Runs(home, store, bus, settings, clock, None, None, Questions(home, store, bus, LIMITS), {})
    carried: list[str] = []
    began = anyio.Event()

    async def carry(self: Runs, run: str) -> None:
        carried.append(run)
        if run == "late":
            return
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.begin("late")

    monkeypatch.setattr(Runs, "_carry", carry)
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await group.start(runs.run, Pulse(clock))
        runs.begin("first")
        await began.wait()
        group.cancel_scope.cancel()

    assert carried == ["first"]
