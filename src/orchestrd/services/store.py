"""
The single writer: decide → fold → commit → publish.

Whoever wants to change something hands in a pure function of the state.  Decisions are taken one after another, each
sees what those before it changed, and many of them share one durable transaction.  A caller is answered only when that
transaction is on disk; if it cannot be written, nothing of it happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition
from orchestrd.errors import OrchestrdError, Refused, StorageError
from orchestrd.services.bus import Bus
from orchestrd.storage.journal import Batch, Cursor, Journal, Reply

MAX_BATCH = 256
ResultT = TypeVar("ResultT")


class Change(Generic[ResultT]):
    """
    What a decision wants: the facts, in order, what to answer, and how far a stream was read.
    """

    def __init__(self, result: ResultT, *facts: ev.AnyEvent, cursor: Cursor | None = None) -> None:
        self.result = result
        self.facts: Sequence[ev.AnyEvent] = facts
        self.cursor = cursor


Decide = Callable[[State], Change[ResultT]]


class _Job:
    """
    One decision on its way through the writer.
    """

    def __init__(self, decide: Decide[Any], request: str | None, method: str) -> None:
        self.decide = decide
        self.request = request
        self.method = method
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None


class Store:
    """
    The state, and the only way to change it.
    """

    def __init__(self, path: Path, bus: Bus, clock: Clock) -> None:
        """
        Open the journal at *path* and read its rows.

        Raises `StorageError`.
        """
        self._journal = Journal(path)
        self._bus = bus
        self._clock = clock
        self._send, self._jobs = anyio.create_memory_object_stream[_Job](math.inf)
        self._reading = anyio.Lock()
        self.state = State(self._journal.rows())
        self.cursors = self._journal.cursors()
        self.seq = self._journal.last_seq()

    async def do(self, decide: Decide[ResultT], *, request: str | None = None, method: str = "") -> ResultT:
        """
        Take the decision and give its result once everything it wants is durable.

        Under a *request* id that was answered before, nothing happens again and the first answer is given (as plain
        JSON values).  Raises what *decide* raises, `IllegalTransition`, or `StorageError`.
        """
        job = _Job(decide, request, method)
        try:
            self._send.send_nowait(job)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise StorageError("the daemon is ending: nothing was changed", hint="Try again in a moment.") from None
        with anyio.CancelScope(shield=True):
            # The writer acts on the job whatever becomes of the caller: wait for the truth, it takes milliseconds.
            await job.done.wait()
        if job.error is not None:
            raise job.error
        return cast("ResultT", job.result)

    async def record(self, *facts: ev.AnyEvent) -> None:
        """
        Record facts that need no decision.
        """
        await self.do(lambda _: Change(None, *facts))

    async def events(
        self, *, since: int = 0, limit: int = 1000, task: str | None = None, day: str | None = None
    ) -> list[ev.Record]:
        """
        A page of the journal, see `Journal.events`.
        """
        async with self._reading:
            return await anyio.to_thread.run_sync(
                lambda: self._journal.events(since=since, limit=limit, task=task, day=day)
            )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Write until cancelled; decisions already handed in are finished first.
        """
        task_status.started()
        try:
            async for first in self._jobs:
                with anyio.CancelScope(shield=True):
                    await self._process([first, *self._waiting()])
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    while jobs := self._waiting():
                        await self._process(jobs)
            finally:
                self._close()

    def _close(self) -> None:
        """
        Take nothing more, and tell whoever still waits that nothing was changed for them.
        """
        self._send.close()
        while jobs := self._waiting():
            for job in jobs:
                job.error = StorageError("the daemon is ending: nothing was changed")
                job.done.set()
        self._jobs.close()
        self._journal.close()

    def _waiting(self) -> list[_Job]:
        """
        Up to a batch of decisions that are waiting already.
        """
        jobs: list[_Job] = []
        while len(jobs) < MAX_BATCH:
            try:
                jobs.append(self._jobs.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return jobs

    async def _process(self, jobs: list[_Job]) -> None:
        try:
            await self._decide_and_commit(jobs)
        except Exception as error:
            # A bug in a decision: the daemon ends, and nobody may wait for ever for an answer.
            for job in jobs:
                job.error = job.error or error
            raise
        finally:
            for job in jobs:
                job.done.set()

    async def _decide_and_commit(self, jobs: list[_Job]) -> None:
        draft = self.state.draft()
        cursors: dict[str, Cursor] = {}
        batch = Batch()
        async with self._reading:
            asked = [job.request for job in jobs if job.request is not None]
            given = await anyio.to_thread.run_sync(lambda: self._journal.replies(asked)) if asked else {}
            seq = self.seq
            for job in jobs:
                try:
                    seq = self._take(job, draft, cursors, given, batch, seq)
                except OrchestrdError as error:
                    job.error = error
            batch.rows = list(draft.own_rows())
            batch.cursors = list(cursors.values())
            if batch.records or batch.cursors or batch.replies:
                try:
                    await anyio.to_thread.run_sync(lambda: self._journal.commit(batch))
                except OrchestrdError as error:
                    for job in jobs:
                        job.error = job.error or error
                    return
        for row in batch.rows:
            self.state.put(row)
        for cursor in batch.cursors:
            self.cursors[cursor.run] = cursor.end
        self.seq = seq
        self._bus.publish(batch.records)

    def _take(
        self, job: _Job, draft: State, cursors: dict[str, Cursor], given: dict[str, Reply], batch: Batch, seq: int
    ) -> int:
        """
        Decide one job on *draft* and add what it wants to *batch*; gives the newest fact's number.
        """
        if job.request is not None and job.request in given:
            known = given[job.request]
            if known.method != job.method:
                raise Refused(
                    f"request_id {job.request} was used for another {known.method.partition(' ')[0]} before",
                    hint="Use a new request_id for each different write.",
                )
            job.result = msgspec.json.decode(known.body)
            return seq
        # A decision is all or nothing on its own, whatever else shares its transaction.
        trial = draft.draft()
        change = job.decide(trial)
        records: list[ev.Record] = []
        at = self._clock.wall()
        for number, fact in enumerate(map(writable, change.facts), seq + 1):
            record = ev.Record(seq=number, at=at, event=fact)
            for row in fold(trial, record):
                trial.put(row)
            records.append(record)
        cursor = change.cursor
        if cursor is not None:
            before = cursors[cursor.run].end if cursor.run in cursors else self.cursors.get(cursor.run, 0)
            if cursor.start != before:
                raise IllegalTransition(f"run {cursor.run}: stream facts from {cursor.start}, but read up to {before}")
            cursors[cursor.run] = cursor
        for row in trial.own_rows():
            draft.put(row)
        batch.records += records
        job.result = change.result
        if job.request is not None:
            reply = Reply(request=job.request, method=job.method, body=msgspec.json.encode(change.result))
            batch.replies.append(reply)
            given[job.request] = reply
        return seq + len(records)


def writable(fact: ev.AnyEvent) -> ev.AnyEvent:
    """
    *fact*, with U+FFFD for every lone surrogate in its texts: an agent's output may hold them, UTF-8 may not.
    """
    try:
        msgspec.json.encode(fact)
    except UnicodeEncodeError:
        return msgspec.convert(_clean(msgspec.to_builtins(fact)), type(fact))
    return fact


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, list | tuple) else value
