"""
What happened beside what was heard: is anything seen of it, the run is halted.

Two look: the monitor, over what the stream shows to have run without leave, and the watch, over git's state and the files of the
tree.  First the deed: the agent is ended before that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from orchestrd.clock import Clock
from orchestrd.protocol import messages as m
from orchestrd.redaction import Redact
from orchestrd.runner.background import Background
from orchestrd.runner.desk import Desk
from orchestrd.runner.monitor import Bypass, Monitor, violation
from orchestrd.runner.sight import WORDS
from orchestrd.runner.voice import Voice
from orchestrd.runner.watch import BREATH, SECONDS, Watch


class Lookout:
    """
    The looks at one run.
    """

    def __init__(
        self,
        run: str,
        *,
        monitor: Monitor,
        watch: Watch | None,
        desk: Desk,
        voice: Voice,
        background: Background,
        clock: Clock,
        redact: Redact,
        strike: Callable[[], None],
    ) -> None:
        """
        *strike* ends the agent; *clock* does not stand while the home is frozen.
        """
        self._run = run
        self._monitor = monitor
        self._watch = watch
        self._desk = desk
        self._voice = voice
        self._background = background
        self._clock = clock
        self._redact = redact
        self._strike = strike
        self._looked = float("-inf")
        self._first = True
        self.attached = False
        """True once all that was there has been heard; until then nothing that is seen is news."""

    async def begin(self) -> None:
        """
        See what was there before the agent.  What changed since, without a daemon that looked, is found once it was heard what the
        agent did meanwhile.
        """
        if self._watch is not None:
            self._watch.current = lambda: [*self._monitor.recent, *self._under_way]
            await self._watch.begin()

    def hear(self, messages: list[m.Message], *, known: bool) -> list[Bypass]:
        """
        What ran without leave, before anything of *messages* is answered: what runs by now runs without that.  *known*: they were
        heard by an earlier daemon, which has looked at what came of them, but perhaps of the last.
        """
        self._monitor.damaged = self._monitor.damaged or self._desk.row(self._run).cut
        bypasses = self._monitor.take(messages, granted=self._voice.granted, answered=self._voice.answered)
        if known:
            self._monitor.recent = self._monitor.recent[-1:]
        return bypasses

    async def stop_for(self, bypasses: list[Bypass]) -> None:
        """
        Halt the run whose agent ran what nobody gave it leave for.
        """
        if self._voice.spoiled:
            return  # what was answered is not known any more, and the run ends for that
        if bypasses and self.attached:
            self._strike()
        for bypass in bypasses:
            found = violation(self._run, bypass, self._redact)
            await self._desk.violated(self._run, found, f"the hook was bypassed: {bypass.how}")

    async def after_a_call(self) -> None:
        """
        Look, when a call has returned.
        """
        if self._monitor.recent:
            await self._look(BREATH)

    async def before_a_call(self) -> None:
        """
        Look, when a call is about to be granted: what changed by now it has not done.
        """
        await self._look(BREATH)

    async def now_and_then(self) -> None:
        """
        Look, while anything is under way.
        """
        if self._first or self._monitor.recent or self._background.tasks or self._under_way:
            await self._look(SECONDS)

    async def at_the_end(self) -> None:
        """
        Look, when the agent does nothing any more.
        """
        await self._look(0.0, over=True)

    @property
    def _under_way(self) -> list[m.ToolCall]:
        return self._monitor.under_way(self._voice.granted)

    async def _look(self, pause: float, *, over: bool = False) -> None:
        """
        See whether git's state changed, or files are gone, with what the agent did since the last look, unless that was less than
        *pause* seconds ago: then what it does now is seen with what follows.
        """
        now = self._clock.monotonic()
        if self._watch is None or not self.attached or now - self._looked < pause:
            return
        calls = [*self._monitor.recent, *self._under_way]
        self._monitor.recent = []
        self._looked, self._first = now, False
        background = bool(self._background.tasks)
        resting = over or not (background or self._under_way)
        found = await self._watch.look(calls, background=background, resting=resting, over=over, redact=self._redact)
        if found is not None:
            self._strike()
            reason = f"{WORDS[found.rule]}: {found.target}"
            await self._desk.violated(self._run, replace(found, run=self._run), reason)
