"""
What sessions tell the daemon, on a real journal.
"""

from __future__ import annotations

import anyio
import pytest

from factories import LIMITS, RUN, FixedClock, initialised, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.protocol.messages import AskedQuestion
from orchestrd.runner.interpreter import Ask, Heard
from orchestrd.services.bus import Bus
from orchestrd.services.desk import Desk
from orchestrd.services.questions import Questions
from orchestrd.services.store import Store
from orchestrd.storage.home import Home

pytestmark = pytest.mark.anyio


def ask(request: str, text: str) -> Ask:
    return Ask(request=request, input={}, questions=(AskedQuestion(text=text, header="", options=(), multi=False),))


async def test_a_question_asked_and_taken_back_within_one_look_is_withdrawn(tmp_path):
    home, bus = Home(tmp_path), Bus()
    home.create()
    store = Store(home.database, bus, FixedClock())
    desk = Desk(store, bus, Questions(home, store, bus, LIMITS), LIMITS, lambda _: None)
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), started(), initialised())
        await desk.heard(RUN, Heard(asks=[ask("r1", "One?")]), ev.Cursor(run=RUN, start=0, end=10))
        heard = Heard(asks=[ask("r2", "Two?"), ask("r3", "Three?")], withdrawn=["r1", "r2"])
        await desk.heard(RUN, heard, ev.Cursor(run=RUN, start=10, end=20))
        await desk.heard(RUN, heard, ev.Cursor(run=RUN, start=20, end=30))
        states = {q.text: q.state for q in store.state.questions(run=RUN)}
        phase = desk.row(RUN).phase
        group.cancel_scope.cancel()

    assert states == {
        "One?": QuestionState.WITHDRAWN,
        "Two?": QuestionState.WITHDRAWN,
        "Three?": QuestionState.OPEN,
    }
    assert phase is RunPhase.WAITING
