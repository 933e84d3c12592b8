"""
Holds one run within its bounds: of time, of money, of life.

It finds that a bound is passed and has it recorded; what is recorded then takes the run down, in this daemon or the next.
"""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.domain.model import Cause
from orchestrd.domain.reportpage import duration
from orchestrd.domain.rows import RunRow
from orchestrd.runner.desk import Desk
from orchestrd.runner.heard import Reply
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.order import Order
from orchestrd.runner.transcripts import config_dir, read_spend, sizes
from orchestrd.runner.vitals import EVER, NEVER, since_boot, vitals
from orchestrd.runner.voice import WIND_UP, Voice
from orchestrd.runner.watchdog import Finding, Scene, Watchdog
from orchestrd.storage.rundir import RunDir

WIND_UP_SECONDS = 120.0
"""How long an agent that gets no further tool call may take to say where it stands."""
UNMETERED = (
    "the model answers without saying how many tokens it uses; budget.unmetered in config/orchestrd.yaml lets agents work all "
    "the same, and counts them as nothing"
)
UNMETERED_RESPONSES = 2
"""How many responses may say something and not what they used: one that is under way tells it at its end."""
LOOP_CALLS = 10
"""How often an agent may make the very same call and have it fail, with nothing changed in between."""
HINDERED_SECONDS = 2.0
"""How long the way to a shim that lives may be closed: it may be opening it, or be at its own end."""
MARGIN_SECONDS = 1.0
"""By which a process may seem to have begun before its call was heard of: its start is told in hundredths of a second."""
TRANSCRIPT_SECONDS = 10.0
"""Between two looks at the transcripts of an agent that is silent."""


class Guard:
    """
    The bounds of one run.
    """

    def __init__(
        self, order: Order, rundir: RunDir, *, desk: Desk, interpreter: Interpreter, voice: Voice, clock: Clock
    ) -> None:
        """
        *clock* stands while the home is frozen: nothing is expected of an agent then.
        """
        self._order = order
        self._dir = rundir
        self._desk = desk
        self._interpreter = interpreter
        self._voice = voice
        self._clock = clock
        self._dog = Watchdog(clock, silence=order.silence)
        self._transcripts: dict[str, int] | None = None
        self._transcripts_due = clock.monotonic() + TRANSCRIPT_SECONDS
        self._unheard = False
        self._curbed: float | None = None
        self._hindered: float | None = None
        self._signs = 0
        self._calls: dict[str, float] = {}
        """Calls under way to when they were heard of, before which no process of theirs began."""
        self.restless = False
        """True when the agent has reported its result and does not come to rest."""

    def remember(self) -> None:
        """
        Learn what was said before a restart.
        """
        self._voice.remember()
        self._interpreter.repetition.unpaid |= self._voice.unpaid

    @property
    def left_behind(self) -> int:
        """
        How many idle processes an agent that was let go had in the background.
        """
        return self._dog.left_behind

    def heard(self, *, known: bool, moved: int) -> None:
        """
        The agent said something, or said it long ago: that is *known*, and is only read again.  *moved* goes up when partial
        messages showed that the model gets on.
        """
        life = self._interpreter.life
        signs, self._signs = self._signs, moved + life.signs
        self._dog.heard(lives=self._signs != signs, pause=life.pause)
        # A command begins only once its call was granted, which is not before it is heard of.
        read_at = EVER if known else since_boot() - MARGIN_SECONDS
        self._calls = {call: self._calls.get(call, read_at) for call in self._interpreter.calls}
        self._transcripts, self._unheard = None, False
        self._transcripts_due = self._clock.monotonic() + TRANSCRIPT_SECONDS

    # -- money -------------------------------------------------------------------------------------------------------

    async def granted(self, replies: list[Reply]) -> list[tuple[str, bytes]]:
        """
        *replies* as they are given: no tool call is granted any more where there is no money for what follows it.  An agent
        that is being ended gets none at all: it would ask the model for something once more before it is interrupted.
        """
        if self._desk.row(self._order.run).stopping is not None:
            return [(reply.request, reply.line) for reply in replies if reply.grants is None]
        asked = [reply for reply in replies if reply.grants is not None and reply.request not in self._voice.answered]
        if asked and self._unmetered(UNMETERED_RESPONSES):
            await self._halt(Cause.UNMETERED, UNMETERED)
            return [(reply.request, reply.line) for reply in replies if reply.grants is None]
        curb = self._desk.curb(self._order.run) if asked else None
        if curb is None:
            if asked and self._desk.row(self._order.run).curtailed:
                # It goes on: what it was told to leave undone is no reason any more not to take its word.
                await self._desk.relieved(self._order.run)
            return [(reply.request, reply.line) for reply in replies]
        cause, reason = curb
        await self._desk.curtailed(self._order.run, cause, reason)
        words = WIND_UP.format(reason=reason)
        self._interpreter.repetition.unpaid |= {reply.request for reply in asked}
        return [(reply.request, reply.line if reply.grants is None else reply.denial(words)) for reply in replies]

    def _unmetered(self, responses: int) -> bool:
        """
        True when so many *responses*, which nobody accounts for, did not say what they used.
        """
        return self._order.metered and len(self._interpreter.meter.unmetered.names) >= responses

    async def affords(self) -> bool:
        """
        Whether the agent may go on.  Where there is no money for that, it is ended when it does not come to its end by itself;
        one that waits for a person, as soon as it would go on.
        """
        curb = self._desk.curb(self._order.run)
        if curb is None:
            self._curbed = None
            return True
        now = self._clock.monotonic()
        self._curbed = now if self._curbed is None else self._curbed
        row = self._desk.row(self._order.run)
        # One that works on beside what it asked by file comes to its end first.
        answered = any(
            question.state == "answered" and (question.request is not None or row.rests)
            for question in self._desk.questions(self._order.run)
        )
        waits = row.stands_still and not row.works_on
        if answered or (now - self._curbed > WIND_UP_SECONDS and not waits):
            await self._halt(*curb)
        return False

    # -- time and life -----------------------------------------------------------------------------------------------

    async def watch(self, row: RunRow, *, as_of: float, worked: float, inaudible: str, leaving: bool) -> None:
        """
        Halt a run that has *worked* too many seconds, or does not get on: it can be heard no more (*inaudible* says why) or
        told nothing, goes round in circles, or hangs.  All that it said until *as_of* was heard: whatever kept us from it since
        then is not its silence.  *leaving*: it may go at any moment, as it should.
        """
        if worked > self._order.timeout:
            await self._halt(
                Cause.TIMED_OUT, f"it worked longer than its time limit of {duration(self._order.timeout)}"
            )
        elif inaudible:
            await self._halt(Cause.STALLED, f"{inaudible}: it can be heard no more")
        elif not leaving and (mute := self._mute()):
            await self._halt(Cause.STALLED, f"{mute}: it can be told nothing any more")
        elif self._interpreter.result is not None and self._unmetered(1):
            await self._halt(Cause.UNMETERED, UNMETERED)
        elif (count := self._interpreter.repetition.count) >= LOOP_CALLS:
            what = self._interpreter.repetition.call
            reason = f"it made the same failing call {count} times and changed nothing in between: {what}"
            await self._halt(Cause.LOOPED, reason)
        else:
            # Before all is reckoned it may wait for an answer that nobody is given yet.
            waits = row.stands_still or not self._desk.reckoned
            await self._see_it_live(row, as_of=as_of, standing=waits or leaving)

    def _mute(self) -> str:
        """
        Why nothing that we say reaches the agent, once that has lasted; empty while it does.
        """
        hindrance, now = self._voice.hindrance(), self._clock.monotonic()
        self._hindered = None if not hindrance else now if self._hindered is None else self._hindered
        return hindrance if self._hindered is not None and now - self._hindered > HINDERED_SECONDS else ""

    async def _see_it_live(self, row: RunRow, *, as_of: float, standing: bool) -> None:
        interpreter = self._interpreter
        if not standing:
            await self._look_at_transcripts(row.session)
        scene = Scene(
            as_of=as_of,
            standing=standing,
            # Of an output that was cut nobody can say what is under way.
            occupied=interpreter.occupied and not row.cut,
            veiled=interpreter.veiled,
            leaves=bool(interpreter.background.tasks),
            reported=interpreter.reported(self._voice.messages),
            unanswered=frozenset(self._voice.asked - interpreter.replied),
            unheard=self._unheard,
        )
        finding = self._dog.look(scene)
        if finding is Finding.LOOK:
            oldest = min(self._calls.values(), default=NEVER)
            finding = self._dog.examine(await anyio.to_thread.run_sync(vitals, self._dir, oldest))
        if finding is Finding.HUNG:
            await self._halt(Cause.STALLED, self._dog.reason)
        self.restless = finding is Finding.RESTLESS

    async def _look_at_transcripts(self, session: str) -> None:
        """
        Now and then, while the agent is silent, see whether its transcripts hold an answer of the model that was never told.
        """
        now = self._clock.monotonic()
        if now < self._transcripts_due:
            return
        self._transcripts_due = now + TRANSCRIPT_SECONDS
        folder = config_dir(self._order.spec.env)
        found = await anyio.to_thread.run_sync(sizes, folder, session)
        if self._transcripts is None:
            self._transcripts = found
        elif found != self._transcripts and not self._unheard:
            read = partial(read_spend, folder, session, beyond=self._transcripts)
            meter = self._interpreter.meter
            self._unheard = bool((await anyio.to_thread.run_sync(read)).keys() - meter.open.keys() - meter.settled)

    async def _halt(self, cause: Cause, reason: str) -> None:
        await self._desk.halt(self._order.run, cause, reason)
