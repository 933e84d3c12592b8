"""
Which runs are carried, and for how long.
"""

from __future__ import annotations

import anyio
import msgspec
import pytest

from factories import LIMITS, TASK, FixedClock, exited, initialised, make_task, started, submitted
from orchestrd.config import Config, packaged_prices
from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome, TaskState
from orchestrd.services.bus import Bus
from orchestrd.services.pulse import Pulse
from orchestrd.services.questions import Questions
from orchestrd.services.runs import Runs
from orchestrd.services.settings import settings_from
from orchestrd.services.snapshots import Snapshots
from orchestrd.services.store import Store
from orchestrd.storage.home import Home

pytestmark = pytest.mark.anyio


def runs_of(home: Home, store: Store, bus: Bus, clock: FixedClock) -> Runs:
    """
    The runs of a home without a repository, a CLI or a sandbox.
    """
    settings = settings_from(msgspec.convert({"project": "."}, Config), packaged_prices())
    return Runs(
        home,
        store,
        bus,
        settings,
        clock,
        None,
        None,
        Questions(home, store, bus, LIMITS),
        {},
        Snapshots(home, store, settings.snapshots, clock, None),
        None,
    )


async def test_nothing_is_begun_beside_runs_that_are_being_left(tmp_path, monkeypatch):
    """
    The scheduler may have recorded a start in the very moment of a drain: the next daemon takes that run up.
    """
    home, bus, clock = Home(tmp_path), Bus(), FixedClock()
    home.create()
    store = Store(home.database, bus, clock)
    runs = runs_of(home, store, bus, clock)
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


async def test_a_run_that_was_stopped_before_its_agent_began_keeps_the_conversation(tmp_path):
    """
    It was to go on with what the first run began, and the day's limit came before it had an agent.
    """
    home, bus, clock = Home(tmp_path), Bus(), FixedClock()
    home.create()
    store = Store(home.database, bus, clock)
    runs = runs_of(home, store, bus, clock)
    second = f"{TASK}/2"
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(
            *submitted(make_task()),
            started(),
            initialised(),
            exited(outcome=Outcome.OVER_BUDGET, cause=Cause.DAY_LIMIT),
            ev.TaskRequeued(task=TASK, reason="limit", session="session-of-1", counted=False),
            started(attempt=2, session="session-of-1", resumes=True),
            ev.RunStopping(run=second, outcome=Outcome.OVER_BUDGET, reason="limit", cause=Cause.DAY_LIMIT),
        )
        await group.start(runs.run, Pulse(clock))
        with anyio.fail_after(10):
            while store.state.run(second).open:
                await bus.changes().wait()
        group.cancel_scope.cancel()
    task = store.state.task(TASK)
    assert (task.state, task.session) == (TaskState.QUEUED, "session-of-1")
    assert store.state.run(second).cause is Cause.DAY_LIMIT
