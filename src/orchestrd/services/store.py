"""
The single writer: decide → fold → commit → publish.

Whoever wants to change something hands in a pure function of the state.  Decisions are taken one after another, each
sees what those before it changed, and many of them share one durable transaction.  A caller is answered only when that
transaction is on disk; if it cannot be written, nothing of it happened.

On a full disk, and while another program holds the database, the daemon lives on: what people ask for is refused, and what
happens by itself waits.  Any other failure of the journal ends the daemon, because after a failed sync nothing is known of
what was written before.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition
from orchestrd.domain.writable import writable
from orchestrd.errors import DiskFull, NotNow, OrchestrdError, Refused, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.services.bus import Bus
from orchestrd.services.change import Change, Decide, ResultT
from orchestrd.services.job import Job
from orchestrd.services.pulse import gate
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch, Reply
from orchestrd.storage.shortage import patiently

log = get_logger(__name__)
MAX_BATCH = 256
RETRY_SECONDS = 0.5
"""Between two looks whether there is room again on a full disk."""


class Store:
    """
    The state, and the only way to change it.
    """

    def __init__(
        self, path: Path, bus: Bus, clock: Clock, *, follow: Callable[[State], Sequence[ev.AnyEvent]] = lambda _: ()
    ) -> None:
        """
        Open the journal at *path* and read its rows.  *follow* gives the facts that a changed state makes necessary: they are
        recorded with the change.

        Raises `StorageError`.
        """
        self._journal = Journal(path)
        self._bus = bus
        self._clock = clock
        self._follow = follow
        self._send, self._jobs = anyio.create_memory_object_stream[Job](math.inf)
        self._reading = anyio.Lock()
        self._held: list[Job] = []
        self._again_at = 0.0
        self._broken = False
        self._why: NotNow | None = None
        self.state = State(self._journal.rows())
        self.cursors = self._journal.cursors()
        self.seq = self._journal.last_seq()

    @property
    def hindered(self) -> str | None:
        """
        Why nothing can be written at the moment, or None.
        """
        return None if self._why is None else self._why.message

    async def do(
        self, decide: Decide[ResultT], *, request: str | None = None, method: str = "", patient: bool | None = None
    ) -> ResultT:
        """
        Take the decision and give its result once everything it wants is durable.

        Under a *request* id that was answered before, nothing happens again and the first answer is given (as plain
        JSON values).  While nothing can be written, what has a *method* was asked for and is refused, and the rest waits,
        unless *patient* says otherwise.  Raises what *decide* raises, `IllegalTransition`, `NotNow`, or `StorageError`.
        """
        job = Job(decide, request, method, patient=not method if patient is None else patient)
        try:
            self._send.send_nowait(job)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise StorageError("the daemon is ending: nothing was changed", hint="Try again in a moment.") from None
        with anyio.CancelScope(shield=True):
            # The writer acts on the job whatever becomes of the caller: wait for the truth, it takes milliseconds.
            await job.seen.wait()
        if not job.done.is_set():
            try:
                await job.done.wait()
            finally:
                job.given_up = not job.done.is_set()
        if job.error is not None:
            raise job.error
        return cast("ResultT", job.result)

    async def given(self, request: str | None, method: str) -> Any:
        """
        The answer that was given under this *request* id before, as plain JSON values, or None: for who looks at more than
        the state before it decides.

        Raises `Refused` when the id was used for another *method*, `StorageError`.
        """
        if request is None:
            return None
        async with self._reading:
            found = await anyio.to_thread.run_sync(lambda: self._journal.replies([request]))
        return _again(found[request], method) if request in found else None

    async def record(self, *facts: ev.AnyEvent) -> None:
        """
        Record facts that need no decision.
        """
        await self.do(lambda _: Change(None, *facts))

    def refuse_hindered(self) -> None:
        """
        Raises `NotNow`, as a write that is asked for would, while nothing can be written.
        """
        if self._why is not None:
            raise _refusal(self._why)

    async def answer(self) -> None:
        """
        Return once the writer has come to a decision that changes nothing.
        """
        await self.do(lambda _: Change(None))

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

    async def prove(self) -> None:
        """
        Look at what a start left out of a large journal.

        Raises `DamagedJournal`, `StorageError`.
        """
        halt = threading.Event()
        try:
            await patiently(lambda: anyio.to_thread.run_sync(self._journal.prove, halt, abandon_on_cancel=True))
        finally:
            halt.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Write until cancelled; decisions already handed in are finished first.

        Raises `StorageError` once nothing can be written any more, other than for the moment.
        """
        task_status.started()
        try:
            while True:
                jobs = await self._next()
                await gate("store")
                with anyio.CancelScope(shield=True):
                    await self._process(jobs)
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    while not self._broken and (jobs := self._waiting()):
                        await self._process(jobs)
            finally:
                self._close()

    def _close(self) -> None:
        """
        Take nothing more, and tell whoever still waits that nothing was changed for them.
        """
        self._send.close()
        jobs, self._held = self._held or self._waiting(), []
        while jobs:
            for job in jobs:
                job.finish(StorageError("the daemon is ending: nothing was changed"))
            jobs = self._waiting()
        self._jobs.close()
        self._journal.close()

    async def _next(self) -> list[Job]:
        """
        The decisions that wait already; none of them when it is time to see whether there is room again.
        """
        left = None if self.hindered is None else max(0.0, self._again_at - anyio.current_time())
        with anyio.move_on_after(left):
            return [await self._jobs.receive(), *self._waiting()]
        return []

    def _waiting(self) -> list[Job]:
        """
        Up to a batch of decisions that are waiting already.
        """
        jobs: list[Job] = []
        while len(jobs) < MAX_BATCH:
            try:
                jobs.append(self._jobs.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return jobs

    async def _process(self, jobs: list[Job]) -> None:
        try:
            if self._why is not None and anyio.current_time() < self._again_at:
                await self._turn_away(jobs, self._why)
                return
            # Nothing of those that are held has happened: they are decided anew.
            jobs, self._held = [*(job for job in self._held if not job.given_up), *jobs], []
            try:
                if self._why is not None:
                    await anyio.to_thread.run_sync(self._journal.probe)
                await self._decide_and_commit(jobs)
            except NotNow as error:
                self._tell_room(error)
                await self._turn_away(jobs, error)
            else:
                self._tell_room(None)
        except Exception as error:
            # A bug in a decision, or a journal that fails: the daemon ends, and nobody may wait for ever for an answer.
            self._broken = isinstance(error, StorageError)
            for job in jobs:
                job.finish(error)
            raise

    def _tell_room(self, full: NotNow | None) -> None:
        """
        Note whether there is room to write, and tell whoever waits for a change.
        """
        self._again_at = anyio.current_time() + RETRY_SECONDS
        before, self._why = self._why, full
        if type(full) is type(before):
            return
        if isinstance(full, DiskFull):
            log.error("disk.full", error=full.message)
        elif full is not None:
            log.error("journal.locked", error=full.message)
        else:
            log.info("journal.writable")
        self._bus.publish([])

    async def _turn_away(self, jobs: list[Job], why: NotNow) -> None:
        """
        Without room, or while another program holds the journal: answer what changes nothing, refuse what was asked for, hold the rest.
        """
        given = await self._given(jobs)
        for job in jobs:
            job.error = None
            wanted = Batch()
            try:
                self._take(job, self.state.draft(), {}, dict(given), wanted, self.seq)
            except OrchestrdError as error:
                job.finish(error)
                continue
            if not wanted.records and not wanted.replies:
                job.finish()
            elif job.patient:
                self._held.append(job)
                job.seen.set()
            else:
                job.finish(_refusal(why))

    async def _given(self, jobs: list[Job]) -> dict[str, Reply]:
        """
        The replies that were given before to the requests of *jobs*.
        """
        asked = [job.request for job in jobs if job.request is not None]
        if not asked:
            return {}
        async with self._reading:
            return await anyio.to_thread.run_sync(lambda: self._journal.replies(asked))

    async def _decide_and_commit(self, jobs: list[Job]) -> None:
        draft = self.state.draft()
        cursors: dict[str, int] = {}
        batch = Batch()
        failpoint("store.taken")
        given = await self._given(jobs)
        seq = self.seq
        for job in jobs:
            try:
                seq = self._take(job, draft, cursors, given, batch, seq)
            except OrchestrdError as error:
                job.error = error
        batch.rows = list(draft.own_rows())
        if batch.records or batch.replies:
            async with self._reading:
                await anyio.to_thread.run_sync(lambda: self._journal.commit(batch))
        failpoint("store.committed.before_publish")
        for row in batch.rows:
            self.state.put(row)
        self.cursors |= cursors
        self.seq = seq
        for job in jobs:
            job.finish()
            for fact in job.followed:
                log.warning(fact.name, day=ev.day_of(fact), task=ev.task_of(fact), run=ev.run_of(fact))
        if batch.records:
            # A decision that changes nothing wakes nobody.
            self._bus.publish(batch.records)

    def _take(
        self, job: Job, draft: State, cursors: dict[str, int], given: dict[str, Reply], batch: Batch, seq: int
    ) -> int:
        """
        Decide one job on *draft* and add what it wants to *batch*; gives the newest fact's number.
        """
        if job.request is not None and job.request in given:
            job.result = _again(given[job.request], job.method)
            return seq
        # A decision is all or nothing on its own, whatever else shares its transaction.
        trial = draft.draft()
        change = job.decide(trial)
        cursor = change.cursor
        before = 0 if cursor is None else cursors.get(cursor.run, self.cursors.get(cursor.run, 0))
        if cursor is not None and cursor.start != before:
            raise IllegalTransition(f"run {cursor.run}: stream facts from {cursor.start}, but read up to {before}")
        at = self._clock.wall()
        records = _folded(trial, change.facts, seq=seq, at=at, source=cursor)
        if records:
            # What they make necessary is true from the same moment on.
            job.followed = self._follow(trial)
            records += _folded(trial, job.followed, seq=records[-1].seq, at=at)
        if cursor is not None and records:
            # Without a fact there is nothing to tie it to: that part of the stream may be read again.
            cursors[cursor.run] = cursor.end
        for row in trial.own_rows():
            draft.put(row)
        batch.records += records
        job.result = change.answer(trial)
        if job.request is not None:
            reply = Reply(request=job.request, method=job.method, body=msgspec.json.encode(job.result))
            batch.replies.append(reply)
            given[job.request] = reply
        return seq + len(records)


def _folded(
    trial: State, facts: Sequence[ev.AnyEvent], *, seq: int, at: float, source: ev.Cursor | None = None
) -> list[ev.Record]:
    """
    *facts* as records that follow number *seq*, with what each changes put into *trial*.
    """
    records = [
        ev.Record(seq=number, at=at, event=fact, source=source)
        for number, fact in enumerate(map(writable, facts), seq + 1)
    ]
    for record in records:
        for row in fold(trial, record):
            trial.put(row)
    return records


def _refusal(why: NotNow) -> NotNow:
    """
    What is told of *why* to somebody who asked for a write.
    """
    if isinstance(why, DiskFull):
        return DiskFull("the disk is full: nothing was changed", hint="Make room, then try again.")
    return type(why)(why.message, hint=why.hint)


def _again(known: Reply, method: str) -> Any:
    """
    The answer that was given before.  Raises `Refused` when it was given to another *method*.
    """
    if known.method != method:
        raise Refused(
            f"request_id {known.request} was used for another {known.method.partition(' ')[0]} before",
            hint="Use a new request_id for each different write.",
        )
    return msgspec.json.decode(known.body)
