"""
The single writer on a real journal: all or nothing, in order, answered only when it is on disk.
"""

import resource
import signal
import sqlite3
from contextlib import asynccontextmanager, contextmanager

import anyio
import msgspec
import pytest

from factories import (
    DAY,
    NOW,
    QUESTION,
    RUN,
    TASK,
    FixedClock,
    answered,
    asked,
    initialised,
    make_task,
    started,
    submitted,
)
from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import QuestionState
from orchestrd.domain.transitions import IllegalTransition
from orchestrd.errors import AlreadyAnswered, DiskFull, JournalLocked, Refused, StorageError
from orchestrd.services import store as service
from orchestrd.services.bus import Bus
from orchestrd.services.change import Change
from orchestrd.services.store import Store
from orchestrd.storage.journal import Journal

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orchestrd.db"


@asynccontextmanager
async def open_store(path, bus=None):
    store = Store(path, bus or Bus(), FixedClock())
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        try:
            yield store
        finally:
            group.cancel_scope.cancel()


@contextmanager
def no_room(path, room: int = 0):
    """
    Files may not grow beyond what SQLite's log is now (and *room* bytes).
    """
    size = path.with_name(f"{path.name}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def rows(state) -> list:
    return sorted(msgspec.json.encode(row) for row in state.own_rows())


def answer_first(by: str):
    """
    The decision behind `question.answer`: only an open question takes an answer.
    """

    def decide(state):
        if state.question(QUESTION).state is not QuestionState.OPEN:
            raise AlreadyAnswered("too late")
        return Change(by, answered(by=by))

    return decide


def submit(*names: str):
    tasks = [make_task(name, order=n) for n, name in enumerate(names)]
    return lambda _: Change(list(names), *submitted(*tasks))


async def test_what_was_decided_is_there_after_a_restart(path):
    async with open_store(path) as store:
        assert await store.do(submit("a", "b")) == ["a", "b"]
        await store.record(started(f"{DAY}/a"), initialised(f"{DAY}/a/1"))
        before = rows(store.state)
        assert store.seq == 5
    async with open_store(path) as store:
        assert rows(store.state) == before
        assert store.seq == 5
        assert store.state.task(f"{DAY}/a").state is TaskState.RUNNING
        await store.record(ev.DaemonStopped(pid=1))
        assert [record.seq for record in await store.events()] == [1, 2, 3, 4, 5, 6]


async def test_decisions_are_taken_one_after_another_and_share_a_transaction(path):
    commits = []
    async with open_store(path) as store:
        real = store._journal.commit
        store._journal.commit = lambda batch: (commits.append(len(batch.records)), real(batch))
        seen = []

        def decide(state):
            seen.append(len(state.tasks()))
            name = f"t{len(seen)}"
            return Change(name, *submitted(make_task(name))[1:])

        names = []
        async with anyio.create_task_group() as group:
            for _ in range(100):

                async def one():
                    names.append(await store.do(decide))

                group.start_soon(one)
        assert seen == list(range(100))
        assert sorted(names) == sorted(f"t{n}" for n in range(1, 101))
        assert sum(commits) == 100
        assert len(commits) <= 3
        assert [record.seq for record in await store.events()] == list(range(1, 101))


async def test_more_than_a_batch_is_several_transactions(path, monkeypatch):
    monkeypatch.setattr(service, "MAX_BATCH", 4)
    async with open_store(path) as store, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(store.do, submit(f"t{number}"))
    async with open_store(path) as store:
        assert len(store.state.tasks()) == 50


async def test_of_a_hundred_answers_the_first_wins(path):
    outcomes = []
    async with open_store(path) as store:
        await store.record(*submitted(make_task()), started(), initialised(), asked())

        async def answer(number):
            try:
                outcomes.append(await store.do(answer_first(str(number))))
            except AlreadyAnswered:
                outcomes.append(None)

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(answer, number)
        won = [by for by in outcomes if by is not None]
        assert len(outcomes) == 100
        assert won == [store.state.question(QUESTION).answered_by]
        facts = [r.event for r in await store.events() if isinstance(r.event, ev.QuestionAnswered)]
        assert len(facts) == 1


class TestOneFails:
    async def many(self, store, bad) -> list:
        """
        Good decisions around a bad one, all in one batch; gives what became of each.
        """
        results = []

        async def take(decide):
            try:
                results.append(await store.do(decide))
            except Exception as error:
                results.append(error)

        async with anyio.create_task_group() as group:
            for decide in (submit("a"), bad, submit("b")):
                group.start_soon(take, decide)
        return results

    async def test_a_refusal_is_its_own(self, path):
        def refuse(_state):
            raise Refused("no")

        async with open_store(path) as store:
            results = await self.many(store, refuse)
            assert [type(result) for result in results] == [list, Refused, list]
            assert [row.spec.id for row in store.state.tasks()] == ["a", "b"]

    async def test_half_of_a_decision_never_stays(self, path):
        def half(_state):
            return Change("done", *submitted(make_task("half")), started(f"{DAY}/unknown"))

        async with open_store(path) as store:
            results = await self.many(store, half)
            assert isinstance(results[1], IllegalTransition)
            assert store.state.task(f"{DAY}/half") is None
            assert [record.seq for record in await store.events()] == [1, 2, 3, 4]
        async with open_store(path) as store:
            assert [row.spec.id for row in store.state.tasks()] == ["a", "b"]

    async def test_a_bug_ends_the_writer_and_everyone_is_told(self, path, monkeypatch):
        monkeypatch.setattr(service, "MAX_BATCH", 2)
        store = Store(path, Bus(), FixedClock())
        results = []

        async def take(decide):
            try:
                results.append(await store.do(decide))
            except (ZeroDivisionError, StorageError) as error:
                results.append(error)

        with anyio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                for number in range(9):
                    # Two of them are wrong, in different batches; nobody may wait for ever.
                    group.start_soon(take, (lambda _: Change(1 / 0)) if number in (2, 5) else submit(f"t{number}"))
                await anyio.wait_all_tasks_blocked()
                group.start_soon(store.run)
        assert caught.group_contains(ZeroDivisionError)
        assert len(results) == 9
        with pytest.raises(StorageError, match="ending"):
            await store.do(submit("late"))


class TestRequestIds:
    async def test_the_same_id_acts_once_and_answers_the_same(self, path):
        async with open_store(path) as store:
            first = await store.do(submit("a"), request="r1", method="task.submit")
            again = await store.do(submit("b"), request="r1", method="task.submit")
            assert first == again == ["a"]
            assert [row.spec.id for row in store.state.tasks()] == ["a"]
        async with open_store(path) as store:
            assert await store.do(submit("c"), request="r1", method="task.submit") == ["a"]

    async def test_also_within_one_batch(self, path):
        results = []
        async with open_store(path) as store:

            async def take(name):
                results.append(await store.do(submit(name), request="r1", method="task.submit"))

            async with anyio.create_task_group() as group:
                for name in "abcdefgh":
                    group.start_soon(take, name)
            assert results == [["a"]] * 8
            assert len(store.state.tasks()) == 1

    async def test_for_another_method_it_is_refused(self, path):
        async with open_store(path) as store:
            await store.do(submit("a"), request="r1", method="task.submit")
            with pytest.raises(Refused, match=r"r1 was used for another task\.submit before"):
                await store.do(submit("b"), request="r1", method="task.cancel")

    async def test_a_refused_write_may_be_tried_again(self, path):
        def refuse(_state):
            raise Refused("not yet")

        async with open_store(path) as store:
            with pytest.raises(Refused):
                await store.do(refuse, request="r1", method="task.submit")
            assert await store.do(submit("a"), request="r1", method="task.submit") == ["a"]

    async def test_a_write_without_facts_is_remembered_too(self, path):
        async with open_store(path) as store:
            assert await store.do(lambda _: Change({"n": 1}), request="r1", method="m") == {"n": 1}
        async with open_store(path) as store:
            assert await store.do(lambda _: Change({"n": 2}), request="r1", method="m") == {"n": 1}
            assert store.seq == 0


class TestCursors:
    def read(self, start: int, end: int, *facts):
        return lambda _: Change(None, *facts, cursor=ev.Cursor(run=RUN, start=start, end=end))

    @pytest.fixture
    async def store(self, path):
        async with open_store(path) as store:
            await store.record(*submitted(make_task()), started(), initialised())
            yield store

    async def test_bytes_are_read_once_and_in_order(self, store):
        call = ev.ToolCalled(run=RUN, call="t", tool="Bash")
        await store.do(self.read(0, 100, call))
        for start in (0, 50, 101):
            with pytest.raises(IllegalTransition, match="read up to 100"):
                await store.do(self.read(start, 150, call))
        await store.do(self.read(100, 150, call))
        assert store.cursors == {RUN: 150}
        assert store.state.run(RUN).tool_calls == 2

    async def test_within_one_batch_as_well(self, store, path):
        results = []

        async def take(start, end):
            try:
                await store.do(self.read(start, end, ev.ToolCalled(run=RUN, call="t", tool="Bash")))
                results.append((start, end))
            except IllegalTransition:
                results.append(None)

        async with anyio.create_task_group() as group:
            for start, end in ((0, 10), (0, 10), (10, 20), (5, 30), (20, 30)):
                group.start_soon(take, start, end)
        assert results == [(0, 10), None, (10, 20), None, (20, 30)]
        assert store.cursors == {RUN: 30}
        journal = Journal(path)
        assert journal.cursors() == {RUN: 30}
        journal.close()

    async def test_a_refused_fact_moves_no_cursor(self, store):
        with pytest.raises(IllegalTransition):
            await store.do(self.read(0, 10, started()))
        assert store.cursors == {}
        await store.do(self.read(0, 10))


class TestAFullDisk:
    """
    See also ``tests/faults/test_f07_disk_full.py``.
    """

    async def test_what_was_asked_for_is_refused_and_the_rest_waits(self, path):
        bus = Bus()
        async with open_store(path, bus) as store, anyio.create_task_group() as group:
            await store.do(submit("a"))
            before, seq = rows(store.state), store.seq
            with bus.follow(store.seq) as facts:
                with no_room(path):
                    for request in (None, "r1"):
                        with pytest.raises(DiskFull, match="nothing was changed"):
                            await store.do(submit("x" * 60), request=request, method="task.submit")
                    group.start_soon(store.record, started(f"{DAY}/a"))
                    changed = bus.changes()
                    await anyio.wait_all_tasks_blocked()
                    assert "the disk is full" in store.hindered
                    # What changes nothing is answered.
                    assert await store.do(lambda _: Change("here")) == "here"
                    assert (rows(store.state), store.seq) == (before, seq)
                    assert len(await store.events()) == seq
                with pytest.raises(anyio.WouldBlock):
                    facts.receive_nowait()
                with anyio.fail_after(5):
                    await changed.wait()
                assert store.state.task(f"{DAY}/a").state is TaskState.RUNNING
                assert store.hindered is None
                assert await store.do(submit("b"), request="r1", method="task.submit") == ["b"]
                assert facts.receive_nowait().seq == seq + 1
        async with open_store(path) as store:
            assert [row.spec.id for row in store.state.tasks()] == ["a", "b"]
            assert [record.seq for record in await store.events()] == [1, 2, 3, 4, 5]

    async def test_what_stands_in_the_way_now_is_told(self, path, monkeypatch):
        """
        Another program held the journal, and when it has let go the disk is full.
        """
        reasons: list[StorageError] = [JournalLocked("another program holds it"), DiskFull("no room")]

        def fail(self):
            raise reasons[0]

        async with open_store(path) as store:
            monkeypatch.setattr(Journal, "commit", lambda self, batch: fail(self))
            monkeypatch.setattr(Journal, "probe", fail)
            monkeypatch.setattr("orchestrd.services.store.RETRY_SECONDS", 0.02)
            with anyio.fail_after(10):
                with pytest.raises(JournalLocked, match="another program"):
                    await store.do(submit("a"), method="task.submit")
                with pytest.raises(JournalLocked, match="another program"):
                    store.refuse_hindered()
                del reasons[0]
                while store.hindered != "no room":
                    await anyio.sleep(0.01)
            with pytest.raises(DiskFull, match="nothing was changed"):
                store.refuse_hindered()
            monkeypatch.undo()

    async def test_each_of_a_batch_is_told(self, path):
        errors = []
        async with open_store(path) as store:
            await store.do(submit("a"))

            async def take(name):
                try:
                    await store.do(submit(name), method="task.submit")
                except DiskFull as error:
                    errors.append(error)

            with no_room(path):
                async with anyio.create_task_group() as group:
                    for number in range(20):
                        group.start_soon(take, f"t{number}")
            assert len(errors) == 20

    async def test_a_caller_that_waits_for_room_can_be_cancelled(self, path):
        async with open_store(path) as store:
            await store.do(submit("a"))
            with no_room(path):
                with anyio.move_on_after(0.05) as scope:
                    await store.do(submit("x" * 60))
                assert scope.cancelled_caught
            with anyio.fail_after(5):
                while store.hindered is not None:
                    await anyio.sleep(0.01)
            assert [row.spec.id for row in store.state.tasks()] == ["a"]

    async def test_the_end_does_not_wait_for_room(self, path):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as callers, open_store(path) as store:
                await store.do(submit("a"))

                async def wait():
                    with pytest.raises(StorageError, match="ending"):
                        await store.do(submit("x" * 60))

                with no_room(path):
                    callers.start_soon(wait)
                    while store.hindered is None:
                        await anyio.sleep(0.01)


async def test_decisions_that_wait_at_the_end_are_still_taken(path):
    store = Store(path, Bus(), FixedClock())
    results = []

    async def take(name):
        results.append(await store.do(submit(name)))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def run():
                with scope:
                    await store.run()

            for number in range(600):
                group.start_soon(take, f"t{number}")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(run)
            scope.cancel()
    assert len(results) == 600
    with pytest.raises(StorageError):
        await store.do(submit("late"))


async def test_a_caller_who_is_cancelled_still_learns_the_truth(path):
    async with open_store(path) as store:
        with anyio.CancelScope() as scope:
            scope.cancel()
            assert await store.do(submit("a")) == ["a"]
        assert store.state.task(f"{DAY}/a") is not None


async def test_facts_are_told_after_they_are_durable_and_in_order(path):
    bus = Bus()
    async with open_store(path, bus) as store:
        with bus.follow(0) as facts:
            changed = bus.changes()
            await store.do(submit("a", "b"))
            assert changed.is_set()
            told = [facts.receive_nowait() for _ in range(3)]
            assert [record.seq for record in told] == [1, 2, 3]
            assert told == await store.events()
            assert {record.at for record in told} == {NOW}
            assert sqlite3.connect(path).execute("SELECT count(*) FROM events").fetchone() == (3,)


async def test_pages_of_the_journal(path):
    async with open_store(path) as store:
        await store.do(submit("a", "b", "c"))
        assert [r.seq for r in await store.events(since=1, limit=2)] == [2, 3]
        assert [r.event.task for r in await store.events(task=f"{DAY}/b")] == [f"{DAY}/b"]
        assert await store.events(day="2026-01-01") == []
        assert await store.events(task=TASK) == []
