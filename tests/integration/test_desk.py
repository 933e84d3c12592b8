"""
What sessions tell the daemon, on a real journal.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup

from factories import DAY, LIMITS, RUN, TASK, FixedClock, initialised, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.consequences import due
from orchestrd.domain.model import Cause
from orchestrd.domain.rows import ABOUT_ACCOUNT, QuestionState, RunPhase
from orchestrd.protocol.messages import AskedQuestion
from orchestrd.runner.heard import Ask, Heard
from orchestrd.services.bus import Bus
from orchestrd.services.desk import Desk
from orchestrd.services.pulse import Pulse
from orchestrd.services.questions import Questions
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.regular import read_text

pytestmark = pytest.mark.anyio
LATER = "2026-11-23"


def ask(request: str, text: str) -> Ask:
    return Ask(request=request, input={}, questions=(AskedQuestion(text=text, header="", options=(), multi=False),))


class Asking:
    """
    A desk on a real journal, whose one task's agent has written a question into a file; reading files waits for `let`.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.bus = Home(root), Bus()
        self.home.create()
        self.store = Store(self.home.database, self.bus, FixedClock())
        self.questions = Questions(self.home, self.store, self.bus, LIMITS)
        self.desk = Desk(self.store, self.bus, self.questions, LIMITS, lambda _: None)
        self.begun, self.let = anyio.Event(), anyio.Event()
        self.short = 0
        """How often a file cannot be read yet for want of descriptors."""

        async def read(path: Path, limit: int) -> str | None:
            self.begun.set()
            await self.let.wait()
            if self.short:
                self.short -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return await read_text(path, limit)

        monkeypatch.setattr("orchestrd.services.questions.read_text", read)

    async def begin(self, group: TaskGroup) -> None:
        await group.start(self.store.run)
        await self.store.record(*submitted(make_task()), started(), initialised())
        path = self.home.question_file(TASK, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Which?\n")

    @property
    def asked(self) -> list[str]:
        return [question.text for question in self.store.state.questions(run=RUN)]


async def test_who_leaves_while_its_question_is_read_is_kept(tmp_path, monkeypatch):
    """
    The watcher has the file in its hands when the agent's turn is over.
    """
    asking = Asking(tmp_path, monkeypatch)
    left = anyio.Event()

    async def leave() -> None:
        await asking.desk.leaving(RUN)
        left.set()

    async with anyio.create_task_group() as group:
        await asking.begin(group)
        await group.start(asking.questions.run, Pulse(FixedClock()))
        with anyio.fail_after(20):
            await asking.begun.wait()
        group.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        assert not left.is_set()
        asking.let.set()
        with anyio.fail_after(20):
            await left.wait()
        asked = asking.asked
        group.cancel_scope.cancel()
    assert asked == ["Which?"]


async def test_a_question_that_cannot_be_read_now_is_read_later(tmp_path, monkeypatch):
    asking = Asking(tmp_path, monkeypatch)
    asking.let.set()
    asking.short = 2
    async with anyio.create_task_group() as group:
        await asking.begin(group)
        with pytest.raises(OSError, match="Too many open files"):
            await asking.desk.leaving(RUN)
        assert asking.asked == []
        await group.start(asking.questions.run, Pulse(FixedClock()))
        with anyio.fail_after(20):
            while not asking.asked:
                await anyio.sleep(0.02)
        asked = asking.asked
        group.cancel_scope.cancel()
    assert (asked, asking.short) == (["Which?"], 0)


async def test_a_question_asked_and_taken_back_within_one_look_is_withdrawn(journaled):
    store, desk = journaled
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


async def test_a_call_that_is_granted_again_is_told_once_for_each_that_was_denied(journaled):
    store, desk = journaled
    told = []
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), started(), initialised())
        before = store.seq
        await desk.relieved(RUN)
        for _ in range(2):
            for _ in range(2):
                await desk.curtailed(RUN, Cause.DAY_LIMIT, "the day's limit")
            told.append(desk.row(RUN).curtailed_cause)
            for _ in range(2):
                await desk.relieved(RUN)
            told.append(desk.row(RUN).curtailed_cause)
        recorded = store.seq - before
        group.cancel_scope.cancel()
    assert told == [Cause.DAY_LIMIT, None] * 2
    assert recorded == 4


async def test_that_an_agent_leaves_is_told_once(journaled):
    store, desk = journaled
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), started(), initialised())
        before = store.seq
        for _ in range(2):
            await desk.let_go(RUN)
        recorded, spends = store.seq - before, desk.row(RUN).spends
        group.cancel_scope.cancel()
    assert (recorded, spends) == (1, False)


async def test_the_answer_to_a_question_of_the_daemon_is_taken_when_its_day_has_ended(tmp_path):
    """
    No login: the person is asked under the newest day, whose tasks are cancelled then; another day still waits for the answer.
    """
    home, bus = Home(tmp_path), Bus()
    home.create()
    store = Store(home.database, bus, FixedClock(), follow=partial(due, limits=LIMITS))
    questions = Questions(home, store, bus, LIMITS)
    later = make_task("n", day=LATER)
    file = home.answer_file(f"{LATER}/{ABOUT_ACCOUNT}", 1)
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), *submitted(later, day=LATER))
        await store.record(ev.AccountBlocked(cause=Cause.UNAUTHORIZED, reason="401"))
        asked = store.state.home().asked
        await store.record(ev.TaskCancelled(task=later.key))
        active = store.state.active_days()
        await group.start(questions.run, Pulse(FixedClock()))
        with anyio.fail_after(20):
            while not home.question_file(f"{LATER}/{ABOUT_ACCOUNT}", 1).exists():
                await anyio.sleep(0.02)
            file.write_text("Try again\n")
            while store.state.home().asked is not None:
                await anyio.sleep(0.02)
        row = store.state.question(asked)
        group.cancel_scope.cancel()
    assert (asked, active) == (f"{LATER}/{ABOUT_ACCOUNT}#1", [DAY])
    assert (row.state, row.answer, row.answered_by) == (QuestionState.DELIVERED, "Try again", "file")


async def test_an_agent_is_started_once_all_is_reckoned_and_there_is_money_for_it(tmp_path, monkeypatch):
    asking, cleared = Asking(tmp_path, monkeypatch), []

    async def wait() -> None:
        cleared.append(await asking.desk.cleared(RUN))

    async with anyio.create_task_group() as group:
        await asking.begin(group)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert cleared == []
        asking.desk.reckon()
        await anyio.wait_all_tasks_blocked()
        assert cleared == [True]
        await asking.store.record(ev.LimitReached(day=DAY, spent=0, limit=LIMITS.daily))
        await wait()
        group.cancel_scope.cancel()
    assert cleared == [True, False]
    row = asking.store.state.run(RUN)
    assert (row.phase, row.stopping_cause) == (RunPhase.STOPPING, Cause.DAY_LIMIT)
