"""
The files people and scripts read, written while the journal goes on.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import anyio
import msgspec
import pytest

from factories import DAY, FixedClock, exited, initialised, make_task, started, submitted
from orchestrd.config import Config, packaged_prices
from orchestrd.domain import events as ev
from orchestrd.domain.schedule import decide
from orchestrd.services import reports
from orchestrd.services.bus import Bus
from orchestrd.services.pulse import Pulse
from orchestrd.services.reports import Reports
from orchestrd.services.settings import settings_from
from orchestrd.services.store import Store
from orchestrd.storage.home import Home, write_atomic

pytestmark = pytest.mark.anyio


async def test_who_finds_the_report_finds_each_task_ended(tmp_path, monkeypatch):
    """
    The day ends while the status of its only task, still at work, is on its way to the disk.
    """
    home, bus, clock = Home(tmp_path), Bus(), FixedClock()
    home.create()
    store = Store(home.database, bus, clock)
    settings = settings_from(msgspec.convert({"project": "."}, Config), packaged_prices())
    scheduler = SimpleNamespace(decide=lambda: decide(store.state, settings.rules, clock.wall()))
    runs = SimpleNamespace(live=lambda run: None)
    writer = Reports(home, store, bus, settings, clock, runs, scheduler)
    writing, go_on = threading.Event(), threading.Event()
    at_report: list[str] = []

    def slow(path: Path, body: bytes) -> None:
        if path.suffix == ".md":
            at_report.append(msgspec.json.decode(home.status_file(f"{DAY}/task-001").read_bytes())["state"])
        elif not writing.is_set():
            writing.set()
            assert go_on.wait(30)
        write_atomic(path, body)

    monkeypatch.setattr(reports, "write_atomic", slow)
    monkeypatch.setattr(reports, "SETTLE_SECONDS", 0.0)
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), started(), initialised())
        await group.start(writer.run, Pulse(clock))
        assert await anyio.to_thread.run_sync(writing.wait, 30)
        await store.record(exited(), ev.TaskSucceeded(task=f"{DAY}/task-001"))
        go_on.set()
        with anyio.fail_after(30):
            while not home.report_file(DAY, "json").exists():
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()

    assert at_report == ["succeeded"]
