"""
One run's life: start the agent or take it up again, turn its stream into facts, hand over answers, see it end.

The same code follows a run that was started a moment ago and one that was found alive after a restart: the stream is read
from its start to bring the interpreter to where it was, facts up to the recorded cursor are left out, and from there on
every fact is recorded together with the cursor.  It decides nothing about tasks; the desk is all it knows of the rest of
the daemon.
"""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread

from orchestrd.clock import Clock, StillClock
from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.outcomes import Ending
from orchestrd.domain.rows import RunPhase
from orchestrd.failpoint import failpoint
from orchestrd.policy.engine import Judge
from orchestrd.redaction import Redactor
from orchestrd.runner.accounts import Accounts
from orchestrd.runner.delivery import deliver
from orchestrd.runner.desk import Desk
from orchestrd.runner.guard import Guard
from orchestrd.runner.heard import Ask, Heard, Reply
from orchestrd.runner.intake import Intake
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.keeper import Keeper
from orchestrd.runner.ladder import Ladder
from orchestrd.runner.launch import start
from orchestrd.runner.liveness import HUNG_SECONDS, SHIM_DEATH_GRACE, Finding, Vigil, begun, look
from orchestrd.runner.lookout import Lookout
from orchestrd.runner.monitor import Monitor
from orchestrd.runner.order import Order
from orchestrd.runner.processes import boot_id
from orchestrd.runner.scopes import Scopes
from orchestrd.runner.settlement import remainder, settle_up
from orchestrd.runner.strike import Strike
from orchestrd.runner.sweep import end_heirs
from orchestrd.runner.vitals import busy
from orchestrd.runner.voice import Voice
from orchestrd.runner.watch import Watch
from orchestrd.runner.worktime import WorkTime
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import patiently

BUSY_TICK = 0.0099
"""
Seconds between looks at an output file that grew within the last second.  A hair below a whole millisecond, which is what
uvloop counts in: of a deadline that falls on one it often finds that it lies a fraction ahead, and goes round and round.
"""
QUIET_TICK = 0.0499
SHORTER = "the output file is shorter than it was"
"""The reason of the `StreamDamaged` that tells of an end that was cut off."""


class Session:
    """
    The driver of one run.
    """

    def __init__(
        self,
        order: Order,
        rundir: RunDir,
        *,
        desk: Desk,
        judge: Judge,
        prices: PriceTable,
        clock: Clock,
        cursor: int,
        scopes: Scopes | None = None,
        watch: Watch | None = None,
        monitor: Monitor | None = None,
        secrets: frozenset[str] = frozenset(),
    ) -> None:
        """
        *watch* looks after git's state, where there is any; *monitor* after what runs without leave, by default one of its own.
        *secrets* are what is taken out of its words besides the run's own.
        """
        self.run = order.run
        self._redact = Redactor(order.spec.secrets | secrets)
        self.interpreter = Interpreter(order.run, prices, judge, self._redact)
        self._order = order
        self._dir = rundir
        self._desk = desk
        self._prices = prices
        # Nothing is expected of an agent that stands still: no limit and no patience is counted against it.
        self._clock = StillClock(clock)
        self._steady = clock
        self._scopes = scopes
        self._intake = Intake(rundir, clock=self._clock, cursor=cursor)
        self._asks: dict[str, Ask] = {}
        self._voice = Voice(rundir)
        self._vigil = Vigil(rundir, grace=order.grace, clock=clock)
        self._ladder = Ladder(rundir, self._voice, grace=order.grace, clock=self._clock)
        self._guard = Guard(
            order, rundir, desk=desk, interpreter=self.interpreter, voice=self._voice, clock=self._clock
        )
        self._accounts = Accounts(self.interpreter, self._voice, self._clock, reckoned=lambda: desk.reckoned)
        self._keeper = Keeper(self.interpreter, self._voice, desk, clock, hold=order.hold)
        self._strike = Strike(
            self._ladder,
            clock,
            unaccounted=lambda: self._accounts.waits(self.interpreter.leave.denied),
            busy=partial(busy, rundir),
        )
        self._lookout = Lookout(
            order.run,
            monitor=Monitor(judge) if monitor is None else monitor,
            watch=watch,
            desk=desk,
            voice=self._voice,
            background=self.interpreter.background,
            clock=clock,
            redact=self._redact,
            strike=self._strike.fall,
        )
        self._remembered = self._opened = self._attached = False
        self._grew = self._hollow = False
        self._next_vigil = 0.0
        self.attended: float | None = None
        """When the agent was last looked at, on the monotonic clock; None while it is not being followed."""
        self._work = WorkTime(rundir, clock)

    @property
    def activity(self) -> str:
        """
        What the agent did last, one line.
        """
        return self.interpreter.activity

    @property
    def worked(self) -> float:
        """
        Seconds that the agent was seen to work.
        """
        return self._work.worked

    @property
    def unfamiliar(self) -> dict[str, int]:
        """
        How often each type of event came that this program does not know.
        """
        return self._intake.unfamiliar

    async def drive(self) -> tuple[Ending, list[ev.AnyEvent]]:
        """
        Start the agent, or take up the one that lives, and follow it to its end.

        Gives how it ended, and facts to be recorded together with that end.
        """
        await self._lookout.begin()
        if not begun(self._dir, self._desk.row(self.run), self._intake.cursor):
            # What made it ready took a while.
            if not await self._desk.cleared(self.run):
                return Ending(unbegun=True), []
            error = await start(
                self._dir,
                self._order.spec,
                run=self.run,
                scopes=self._scopes,
                unwanted=lambda: self._desk.row(self.run).stopping is not None,
            )
            if error:
                return Ending(spawn_error=error), []
        else:
            self._work.resume()
        try:
            while (end := await patiently(self._attend)) is None:
                pass
            return end
        finally:
            self._intake.close()

    async def _attend(self) -> tuple[Ending, list[ev.AnyEvent]] | None:
        """
        Look at everything once; how it ended when it has.  What is broken off in the middle is done by the next look.
        """
        self._clock.stand(still=self._desk.frozen)
        self.attended = self._steady.monotonic()
        if failpoint("loop.session"):
            await anyio.sleep_forever()
        if not self._remembered:
            await anyio.to_thread.run_sync(self._guard.remember)
            self._remembered = True
        # Looked at before the stream: what a run wrote before its end is read, however late it is noticed.
        # While it writes, that is asked less often than its output is read.
        over = False
        if not self._grew or self.attended >= self._next_vigil:
            over = await self._over()
            self._next_vigil = self.attended + QUIET_TICK
        if self._vigil.finding is Finding.ALIVE and not self._opened:
            await self._open()
        grew = self._grew = await self._read()
        if not self._attached and self._intake.caught_up:
            self._attached = self._lookout.attached = True
            self._desk.attached(self.run)
        if over and not grew:
            self.attended = None
            return await self._settle()
        # Nothing reaches an agent whose shim is gone: what is due is kept for the run that follows.
        if not over and self._attached and self._vigil.finding is Finding.ALIVE:
            await self._act()
        if grew:
            # Whatever one agent writes, the others and whoever asks have their turn after each piece.
            await anyio.lowlevel.checkpoint()
        else:
            await self._pause()
        return None

    async def _open(self) -> None:
        """
        Give the agent its first message, unless it had it.  One that is to be stopped by then, or that the money is not there for, is
        asked nothing; and nobody is before it is known what all have spent.
        """
        row = self._desk.row(self.run)
        # An agent says which model it is once it has had its first message.
        again = self._intake.cursor > 0 and row.model is not None
        if not again and not self._voice.begun(self.run):
            if row.stopping is not None or not self._desk.reckoned:
                return
            if (curb := self._desk.curb(self.run)) is not None:
                await self._desk.halt(self.run, *curb)
                return
        self._voice.begin(self.run, self._order.opening, again=again)
        self._opened = True

    async def _act(self) -> None:
        """
        Whatever is due towards an agent that lives.
        """
        self._voice.flush()
        self._accounts.ask()
        await self._answer(self._accounts.ready([]))
        if self._desk.reckoned and await self._guard.affords():
            await deliver(self.run, self._desk, self._voice, self._asks)
        await self._watch()
        await self._lookout.now_and_then()
        await self._finish_if_done()

    async def _answer(self, replies: list[Reply]) -> None:
        """
        Give these *replies*, and those that have waited for a snapshot until now.
        """
        ready = self._keeper.ready(replies)
        if self._attached and self._desk.row(self.run).struck:
            # Now, and not at the next look; and before it is told why, to which it would answer.
            failpoint("session.violation.recorded")
            self._strike.fall()
        if ready:
            if any(reply.grants is not None and reply.request not in self._voice.answered for reply in ready):
                await self._lookout.before_a_call()
            self._voice.answer(await self._guard.granted(ready))

    async def abandon(self) -> None:
        """
        End the agent and its whole tree without listening to it any more.
        """
        # The shim was told and does it alone: a daemon that ends meanwhile waits for nothing.
        with anyio.move_on_after(self._order.grace + SHIM_DEATH_GRACE + 1.0):
            await patiently(self._see_it_end)
        await patiently(lambda: anyio.to_thread.run_sync(end_heirs, self._dir))

    async def remainder(self) -> list[ev.AnyEvent]:
        """
        What the agent has spent that was not heard, once it was abandoned.
        """
        return await patiently(lambda: remainder(self._desk.row(self.run), self._order.spec, self._prices))

    async def _see_it_end(self) -> None:
        if self._ladder.ended is None:
            self._ladder.end()
        while True:
            if await self._over():
                return
            await anyio.sleep(QUIET_TICK)

    # -- the stream --------------------------------------------------------------------------------------------------

    async def _read(self) -> bool:
        """
        Take what the agent wrote since the last look; True when there was anything.
        """
        messages = self._intake.read()
        if messages is None:
            await self._note_cut()
            return False
        known, heard = self._intake.known, self.interpreter.take(messages)
        bypasses = self._lookout.hear(messages, known=known)
        self._guard.heard(known=known, moved=self._intake.moved)
        await self._take(heard, known=known)
        await self._lookout.stop_for(bypasses)
        if not known and self._intake.drained:
            # What it says next is heard first: it may be what must be stopped.
            await self._lookout.after_a_call()
        self._intake.rejoin()
        if known and self._intake.offset == self._intake.cursor:
            await self._recount()
        return True

    async def _recount(self) -> None:
        """
        What the journal has was counted by a daemon before, which may have had other prices.  What an agent has spent that is
        no more is accounted for at its end, or was.
        """
        row = self._desk.row(self.run)
        facts = list(self.interpreter.meter.recounted(row.unsettled))
        # Of an output that was cut the journal knows more than can be read.
        if facts and not row.cut and self._vigil.finding is Finding.ALIVE:
            await self._take(Heard(facts=facts), end=self._intake.cursor)

    async def _note_cut(self) -> None:
        """
        When the output is shorter than what was read of it: the facts stand, and what comes from here on is new.
        """
        cut = self._intake.cut()
        if cut is None:
            return
        size, lost = cut
        damage = ev.StreamDamaged(run=self.run, offset=size, length=lost, reason=SHORTER, cut=True)
        cursor = ev.Cursor(run=self.run, start=self._intake.cursor, end=size)
        await self._desk.heard(self.run, Heard(facts=[damage]), cursor)
        self._intake.restart(size)

    async def _take(self, heard: Heard, *, known: bool = False, end: int | None = None) -> None:
        """
        Record what was heard up to byte *end*, by default that of the last whole line, unless it is *known*; answer it.
        """
        ready = self._accounts.ready(heard.replies)
        if not known and (heard.facts or heard.asks or heard.withdrawn):
            end = self._intake.whole_lines if end is None else end
            failpoint("session.heard.before_record")
            cursor = ev.Cursor(run=self.run, start=self._intake.cursor, end=end)
            record = partial(self._desk.heard, self.run, heard, cursor)
            # First the deed, whatever is in the way of a record.  A daemon that dies in between hears of it again.
            condemned = self._attached and self._desk.strikes(self.run, heard.facts)
            if await (self._strike.beside(record) if condemned else record()):
                self._intake.cursor = end
        for ask in heard.asks:
            self._asks.setdefault(ask.request, ask)
        for request in heard.withdrawn:
            self._asks.pop(request, None)
        await self._answer(ready)

    async def _pause(self) -> None:
        """
        Wait for the next look: sooner while the agent is busy, at once when something was recorded that concerns it.
        """
        busy = not self._desk.frozen and self._clock.monotonic() - self._intake.grew < 1.0
        changes = self._desk.changes()
        with anyio.move_on_after(BUSY_TICK if busy else QUIET_TICK):
            await changes.wait()
            # Every recorded fact wakes every session: let a burst pass.
            await anyio.sleep(BUSY_TICK / 2)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """
        Take the run down when it must stop; else see that it keeps within its bounds.
        """
        row = self._desk.row(self.run)
        worked = self._work.count(standing=row.stands_still)
        if row.struck:
            self._strike.fall()
        elif row.phase is RunPhase.STOPPING and self._desk.frozen:
            if row.cancelled:
                self._ladder.fell()
        elif row.phase is RunPhase.STOPPING and not self._opened:
            # It was asked nothing: there is no turn to be accounted for.
            if not self._ladder.told:
                self._ladder.end()
        elif row.phase is RunPhase.STOPPING:
            self._ladder.climb(accounted=self.interpreter.state == "idle" and not self.interpreter.meter.open)
        else:
            await self._guard.watch(
                row,
                as_of=self._intake.heard,
                worked=worked,
                inaudible=self._intake.inaudible(cut=row.cut),
                leaving=self._ladder.told,
            )

    async def _finish_if_done(self) -> None:
        """
        Ask the agent to leave once its turn is over and nothing is open.
        """
        if self._ladder.told or self._desk.frozen:
            return
        self._hollow = self._resumes and self.interpreter.hollow(self._voice.messages)
        done = self.interpreter.turn_over(self._voice.messages) or self._hollow or self._guard.restless
        if not done and not self.interpreter.refused:
            return
        if self._unanswered() or self._clock.monotonic() - self._intake.grew < self.interpreter.patience:
            return
        # Without its shim an agent hears no more and ends its turn early, as if it were done: only one that had its shim
        # after its last word was read is let go.
        if look(self._dir) is not Finding.ALIVE:
            return
        await self._desk.leaving(self.run)
        if not self._unanswered():
            await self._desk.let_go(self.run)
            self._ladder.dismiss()

    @property
    def _let_go(self) -> bool:
        """
        True when the agent was asked to leave after its result, though it did not rest or had commands in the background.
        """
        return self._voice.dismissed and self.interpreter.reported(self._voice.messages)

    @property
    def _resumes(self) -> bool:
        return self._desk.row(self.run).resumes

    def _unanswered(self) -> bool:
        # An ask that was answered before a restart comes up again when the stream is read from its start.
        return bool(self._asks.keys() - self._voice.answered) or any(
            q.state in ("open", "answered") for q in self._desk.questions(self.run)
        )

    async def _over(self) -> bool:
        self._ladder.hurry()
        row = self._desk.row(self.run)
        spared = self._desk.frozen and not (row.cancelled or row.struck)
        ended = self._ladder.ended
        told = None if ended is None else self._clock.monotonic() - ended
        if told is not None and self._ladder.unheard:
            # It will not act on what it was not told.
            told += HUNG_SECONDS
        if told is not None and row.struck:
            told += self._order.grace  # it was given none
        return await self._vigil.over(spared=spared, told=told)

    async def _settle(self) -> tuple[Ending, list[ev.AnyEvent]]:
        """
        Take the torn end of the stream, account for what no result covered, and say how it ended.
        """
        # The cursor is behind it then: a daemon that settles the same run again must not tell of it again.
        torn = self.interpreter.take(self._intake.finish())
        await self._take(torn, known=self._intake.known, end=self._intake.offset)
        if not self._desk.row(self.run).cancelled:
            # Whatever it was stopped for: a run that follows takes what is there for what was left to it.
            await self._lookout.at_the_end()
        failpoint("session.settled.before_record")
        # A turn that ended for want of a shim is not over.  Where all went down with the machine that was not so.
        rebooted = self._dir.boot() not in ("", boot_id())
        row, messages = self._desk.row(self.run), self._voice.messages
        # One that was stopped had no time to say that it rests.
        done = self.interpreter.turn_over(messages) or (row.stopping and self.interpreter.reported(messages))
        over = (
            (bool(done) or self._let_go)
            and (self._dir.exit_record() is not None or self._voice.dismissed or rebooted)
            and not self._unanswered()
        )
        return await settle_up(
            row,
            self._order.spec,
            self._dir,
            self.interpreter,
            self._prices,
            questions=self._desk.questions(self.run),
            over=over,
            hollow=self._hollow,
            swept=self._vigil.swept,
            left_behind=self._guard.left_behind,
            work=self._work.close(),
        )
