"""
What is done in a home that no daemon serves has the same consequences as where one does.
"""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from factories import DAY, LIMITS, FixedClock, exited, initialised, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.consequences import due
from orchestrd.domain.model import NANO, Usage
from orchestrd.domain.rows import QuestionState
from orchestrd.domain.state import State
from orchestrd.protocol import api
from orchestrd.services import offline
from orchestrd.services.bus import Bus
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.journal import Journal

pytestmark = pytest.mark.anyio
ASKED = f"{DAY}/_day#1"


@pytest.fixture
async def home(tmp_path):
    """
    A home whose day has used up its limit of a dollar, with a task that waits and the person asked about it.
    """
    home = Home(tmp_path)
    home.create()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/orchestrd.yaml").write_text("project: .\n")
    task = make_task("a")
    store = Store(home.database, Bus(), FixedClock(), follow=partial(due, limits=LIMITS))
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(task, limit=NANO), started(task.key), initialised(f"{task.key}/1"))
        run = f"{task.key}/1"
        await store.record(ev.SpendSeen(run=run, message="m", model="x", usage=Usage(), cost=2 * NANO))
        await store.record(
            exited(run, outcome="over_budget"),
            ev.TaskRequeued(task=task.key, reason="limit", session="s", counted=False),
        )
        assert store.state.day(DAY).asked == ASKED
        group.cancel_scope.cancel()
    return home


def kept(home: Home) -> State:
    """
    What the journal holds.
    """
    journal = Journal(home.database)
    try:
        return State(journal.rows())
    finally:
        journal.close()


async def test_what_was_asked_about_a_day_is_taken_back_with_its_last_task(home):
    changed = await offline.cancel(home.root, api.TaskNames(all=True))
    assert changed.changed == [f"{DAY}/a"]
    state = kept(home)
    assert (state.day(DAY).asked, state.question(ASKED).state) == (None, QuestionState.WITHDRAWN)


async def test_settings_that_cannot_be_read_are_no_reason_not_to_cancel_and_the_next_daemon_takes_it_back(home):
    (home.root / "config/orchestrd.yaml").write_text("project: [\n")
    assert (await offline.cancel(home.root, api.TaskNames(all=True))).changed == [f"{DAY}/a"]
    store = Store(home.database, Bus(), FixedClock(), follow=partial(due, limits=LIMITS))
    assert store.state.question(ASKED).state is QuestionState.OPEN
    assert store.state.active_days() == [DAY], "its answer file is looked at"
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(ev.DaemonStarted(pid=1, version="x"))
        group.cancel_scope.cancel()
    assert store.state.question(ASKED).state is QuestionState.WITHDRAWN
    assert store.state.active_days() == []
