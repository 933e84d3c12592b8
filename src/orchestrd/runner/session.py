"""
One run's life, from the shim's start (or from finding it alive) to the end of its process tree.

It reads the agent's output file, has the interpreter say what it means, hands the facts to the desk together with the
new cursor, and writes the answers.  It decides nothing about tasks; the desk is all it knows of the rest of the daemon.
"""

from __future__ import annotations

import os
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec

from orchestrd.clock import Clock
from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.outcomes import Ending
from orchestrd.domain.rows import QuestionRow, RunPhase, RunRow
from orchestrd.errors import AgentError
from orchestrd.policy.engine import Judge
from orchestrd.protocol import control
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.runner.interpreter import Ask, Heard, Interpreter
from orchestrd.runner.launch import end_marked, launch
from orchestrd.runner.transcripts import can_resume, config_dir, read_spend, settle
from orchestrd.runner.voice import Voice
from orchestrd.storage.journal import Cursor
from orchestrd.storage.regular import open_regular
from orchestrd.storage.rundir import RunDir, RunSpec

READ_SIZE = 1 << 20
BUSY_TICK = 0.01
"""Seconds between looks at an output file that grew within the last second."""
QUIET_TICK = 0.05
INTERRUPT_SECONDS = 3.0
"""How long an interrupted agent may take to account for its turn before it is told to end."""
SHIM_DEATH_GRACE = 2.0


class Desk(Protocol):
    """
    What a session needs of the daemon.
    """

    async def heard(self, run: str, heard: Heard, cursor: Cursor) -> None:
        """
        Record the facts, questions and withdrawals durably, with how far the stream was read.
        """

    async def delivered(self, questions: list[QuestionRow]) -> None:
        """
        Record that these answers are in the agent's hands.
        """

    async def timed_out(self, run: str) -> None:
        """
        Record that the run must stop because its time is over.
        """

    async def leaving(self, run: str) -> None:
        """
        The agent's turn is over: record what it may have asked in a file, before it is let go.
        """

    def row(self, run: str) -> RunRow:
        """
        The run as recorded.
        """

    def questions(self, run: str) -> list[QuestionRow]:
        """
        The run's questions as recorded.
        """

    def changes(self) -> anyio.Event:
        """
        Set at the next recorded change.
        """


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one run is started with.  *timeout* is seconds of work, *opening* the first user message.
    """

    run: str
    spec: RunSpec
    opening: str
    timeout: float
    grace: float


class Session:
    """
    The driver of one run.
    """

    def __init__(
        self, order: Order, rundir: RunDir, *, desk: Desk, judge: Judge, prices: PriceTable, clock: Clock, cursor: int
    ) -> None:
        self.run = order.run
        self.interpreter = Interpreter(order.run, prices, judge)
        self._order = order
        self._dir = rundir
        self._desk = desk
        self._prices = prices
        self._clock = clock
        self._stream = ClaudeStream()
        self._cursor = cursor
        self._offset = 0
        self._output: int | None = None
        self._asks: dict[str, Ask] = {}
        self._voice = Voice(rundir)
        self._asked_to_stop: float | None = None
        self._told_to_end: float | None = None
        self._leave_by: float | None = None
        self._gone_since: float | None = None
        self._last_growth = 0.0
        self._spawn_error = ""
        row = desk.row(order.run)
        # Work is measured on the monotonic clock; only what an earlier daemon saw of it comes from the wall clock.
        self._worked = row.worked(clock.wall()) if row.base else 0.0
        self._looked = clock.monotonic()

    async def drive(self) -> tuple[Ending, list[ev.AnyEvent]]:
        """
        Start the agent, or take up the one that lives, and follow it to its end.

        Gives how it ended, and facts to be recorded together with that end.
        """
        if not self._dir.spec.exists() or not self._started():
            await self._start()
        if self._spawn_error:
            return Ending(spawn_error=self._spawn_error), []
        self._voice.remember()
        self._voice.begin(self.run, self._order.opening)
        try:
            return await self._attend()
        finally:
            if self._output is not None:
                os.close(self._output)

    async def _attend(self) -> tuple[Ending, list[ev.AnyEvent]]:
        while not await self._ended():
            grew = await self._read()
            await self._deliver()
            await self._stop_if_due()
            await self._finish_if_done()
            if not grew:
                await self._pause()
        return await self._settle()

    async def abandon(self) -> None:
        """
        End the agent and its whole tree without listening to it any more.
        """
        self._dir.tell(f"stop {self._order.grace}")
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._order.grace + SHIM_DEATH_GRACE + 1.0):
            while True:
                if await self._ended():
                    return
                await anyio.sleep(QUIET_TICK)
        end_marked(self._dir)

    # -- start -------------------------------------------------------------------------------------------------------

    def _started(self) -> bool:
        return self._dir.exit.exists() or self._dir.shim_alive() or self._dir.shim_lock.exists()

    async def _start(self) -> None:
        try:
            self._dir.create(self._order.spec)
            await launch(self._dir)
        except (AgentError, OSError) as error:
            # A daemon that died just now may have started it too: then its shim holds the lock.
            self._spawn_error = "" if self._dir.shim_alive() else str(error)

    # -- the stream --------------------------------------------------------------------------------------------------

    async def _read(self) -> bool:
        """
        Take what the agent wrote since the last look; True when there was anything.
        """
        if self._output is None:
            try:
                # Kept open: what the agent writes stays readable whatever it does to the name.
                self._output = open_regular(self._dir.stdout)
            except FileNotFoundError:
                return False
        chunk = os.pread(self._output, READ_SIZE, self._offset)
        if not chunk:
            return False
        if self._offset < self._cursor:
            # What is in the journal already only brings the interpreter to where it was.
            chunk = chunk[: self._cursor - self._offset]
        self._offset += len(chunk)
        self._last_growth = self._clock.monotonic()
        await self._take(self.interpreter.take(self._stream.feed(chunk)), known=self._offset <= self._cursor)
        return True

    async def _take(self, heard: Heard, *, known: bool = False) -> None:
        if not known and (heard.facts or heard.asks or heard.withdrawn):
            end = self._stream.consumed
            await self._desk.heard(self.run, heard, Cursor(run=self.run, start=self._cursor, end=end))
            self._cursor = end
        for ask in heard.asks:
            self._asks.setdefault(ask.request, ask)
        for request in heard.withdrawn:
            self._asks.pop(request, None)
        self._voice.answer(heard.replies)

    async def _pause(self) -> None:
        """
        Wait for the next look: sooner while the agent is busy, at once when something was recorded that concerns it.
        """
        busy = self._clock.monotonic() - self._last_growth < 1.0
        changes = self._desk.changes()
        with anyio.move_on_after(BUSY_TICK if busy else QUIET_TICK):
            await changes.wait()
            # Every recorded fact wakes every session: let a burst pass.
            await anyio.sleep(BUSY_TICK / 2)

    # -- answers -----------------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        """
        Hand over every answer that is recorded and not yet delivered.
        """
        due = [q for q in self._desk.questions(self.run) if q.state == "answered"]
        if not due:
            return
        for request in {q.request for q in due if q.request is not None}:
            group = [q for q in self._desk.questions(self.run) if q.request == request]
            ask = self._asks.get(request)
            if ask is None or any(q.answer is None for q in group):
                continue
            answers: dict[str, str] = {}
            for asked, question in zip(ask.questions, group, strict=False):
                # The CLI takes answers by the question's text: two questions of one text share theirs.
                before = answers.get(asked.text)
                answers[asked.text] = (question.answer or "") if before is None else f"{before} / {question.answer}"
            line = control.hook_allow(request, updated_input={**ask.input, "answers": answers})
            self._voice.answer([(request, line)])
            self._asks.pop(request, None)
            await self._desk.delivered([q for q in group if q.state == "answered"])
        for question in (q for q in due if q.request is None):
            text = f"Answer to your question {question.id}:\n\n{question.answer}\n\nGo on with the task."
            self._voice.tell(question.id, text)
            await self._desk.delivered([question])

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _stop_if_due(self) -> None:
        """
        The ladder: interrupt, so that the turn is accounted for; then TERM; then, after the grace, KILL of the tree.
        """
        row = self._desk.row(self.run)
        now = self._clock.monotonic()
        self._worked += now - self._looked if row.waiting_since is None else 0.0
        self._looked = now
        if row.phase is not RunPhase.STOPPING:
            if self._worked > self._order.timeout:
                await self._desk.timed_out(self.run)
            return
        if self._asked_to_stop is None:
            self._asked_to_stop = now
            self._voice.interrupt()
            return
        accounted = self.interpreter.state == "idle" and not self.interpreter.open
        if self._told_to_end is None and (accounted or now - self._asked_to_stop > INTERRUPT_SECONDS):
            self._told_to_end = now
            self._dir.tell(f"stop {self._order.grace}")

    async def _finish_if_done(self) -> None:
        """
        Ask the agent to leave once its turn is over and nothing is open.
        """
        if self._told_to_end is not None:
            return
        done = self.interpreter.turn_over(self._voice.messages)
        if not done and not self.interpreter.refused:
            return
        if self._unanswered() or self._clock.monotonic() - self._last_growth < self.interpreter.patience:
            return
        await self._desk.leaving(self.run)
        if self._unanswered():
            return
        self._told_to_end = self._clock.monotonic()
        self._voice.dismiss()
        # If it does not leave by itself, it is ended all the same.
        self._leave_by = self._told_to_end + self._order.grace

    def _unanswered(self) -> bool:
        # An ask that was answered before a restart comes up again when the stream is read from its start.
        return bool(self._asks.keys() - self._voice.answered) or any(
            q.state in ("open", "answered") for q in self._desk.questions(self.run)
        )

    async def _ended(self) -> bool:
        now = self._clock.monotonic()
        if self._leave_by is not None and now > self._leave_by:
            self._leave_by = None
            self._dir.tell(f"stop {self._order.grace}")
        if self._dir.shim_alive():
            self._gone_since = None
            return False
        if self._dir.exit_record() is not None:
            return True
        # Without its shim an agent's stdin is at its end and its exit is lost: it may finish its turn, not more.
        self._gone_since = self._gone_since if self._gone_since is not None else now
        if self._dir.agent_alive() and now - self._gone_since < max(SHIM_DEATH_GRACE, self._order.grace):
            return False
        if now - self._gone_since < SHIM_DEATH_GRACE / 10:
            return False  # the shim may be between its record and its own end
        end_marked(self._dir)
        return True

    async def _settle(self) -> tuple[Ending, list[ev.AnyEvent]]:
        """
        Read the stream to its end, account for what no result covered, and say how it ended.
        """
        while await self._read():
            pass
        await self._take(self.interpreter.take(self._stream.finish()))
        record = self._dir.exit_record()
        env = self._order.spec.env
        began = self._desk.row(self.run).started_at
        session = self._desk.row(self.run).session
        transcript = await anyio.to_thread.run_sync(read_spend, config_dir(env), session, began)
        resumable = await anyio.to_thread.run_sync(can_resume, config_dir(env), session)
        rest = settle(self.run, self.interpreter.open, self.interpreter.settled, transcript, self._prices)
        unaccounted = bool(self.interpreter.open) or record is None or record.exit_code != 0
        facts: list[ev.AnyEvent] = [rest] if rest is not None and unaccounted else []
        result = self.interpreter.result
        ending = Ending(
            exit_code=record.exit_code if record else None,
            signal=record.signal if record else None,
            lost=record is None,
            # Without its shim an agent hears no more and ends its turn early, as if it were done: only a turn that was over
            # before that counts.
            finished=(record is not None or self._told_to_end is not None)
            and self.interpreter.turn_over(self._voice.messages)
            and not self._unanswered(),
            resumable=resumable,
            has_result=result is not None,
            is_error=result.is_error if result else False,
            terminal_reason=result.terminal_reason if result else None,
            api_status=result.api_error_status if result else None,
            text=(result.text or "\n".join(result.errors)) if result else "",
            stderr=self.interpreter.refused or _tail(self._dir),
        )
        return ending, facts


def _tail(rundir: RunDir, size: int = 4096) -> str:
    """
    The end of the agent's stderr.
    """
    try:
        with os.fdopen(open_regular(rundir.stderr), "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
