"""
What the person does to the account, as the journal has it.
"""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from factories import LIMITS, NOW, FixedClock, make_task, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.consequences import due
from orchestrd.domain.model import Cause
from orchestrd.domain.rows import QuestionState
from orchestrd.errors import Refused
from orchestrd.protocol import api
from orchestrd.services.bus import Bus
from orchestrd.services.commands import Commands
from orchestrd.services.store import Store

pytestmark = pytest.mark.anyio
WINDOW = ev.AccountBlocked(cause=Cause.WINDOW, reason="You've hit your weekly limit", until=NOW + 7 * 86400)


@pytest.fixture
async def store(tmp_path):
    clock = FixedClock()
    store = Store(tmp_path / "orchestrd.db", Bus(), clock, follow=partial(due, limits=LIMITS))
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()))
        yield store
        group.cancel_scope.cancel()


async def retried(store: Store) -> list[ev.AnyEvent]:
    return [record.event for record in await store.events() if record.event.name == "account.retried"]


async def test_a_window_is_tried_now_once_for_each_request(store):
    await store.record(WINDOW)
    commands = Commands(store, FixedClock(NOW + 60))
    told = await commands.retry_account(api.AccountRetry(request_id="r"))
    assert (told.changed, told.cause, told.reason) == (True, "window", "You've hit your weekly limit")
    assert (store.state.home().block.until, store.state.home().block.bidden) == (NOW, True)
    # The answer was lost, and the account is blocked again meanwhile: the same request does nothing more.
    await store.record(WINDOW)
    again = await commands.retry_account(api.AccountRetry(request_id="r"))
    assert again["changed"] is True
    assert store.state.home().block.until == WINDOW.until
    assert await retried(store) == [ev.AccountRetried(by="cli")]
    assert (await commands.retry_account(api.AccountRetry(by="dashboard"))).changed
    assert not (await commands.retry_account(api.AccountRetry())).changed
    assert len(await retried(store)) == 2


async def test_what_they_were_asked_about_it_is_answered_with_it(store):
    await store.record(ev.AccountBlocked(cause=Cause.UNAUTHORIZED, reason="401"))
    asked = store.state.home().asked
    await Commands(store, FixedClock(NOW + 60)).retry_account(api.AccountRetry())
    row = store.state.question(asked)
    assert (row.state, row.answer, row.answered_by) == (QuestionState.DELIVERED, "Try again", "cli")
    assert await retried(store) == [ev.AccountRetried(by="cli")]


async def test_where_nothing_is_the_matter_it_is_refused_and_nothing_is_written(store):
    with pytest.raises(Refused, match="nothing is known to be the matter"):
        await Commands(store, FixedClock()).retry_account(api.AccountRetry(request_id="r"))
    assert await retried(store) == []
