"""
Sees that an agent hangs: every way in which nothing happens any more that should, each with its own limit.

Pure but for the clock it is given, which is a monotonic one that stands while the home is frozen.  Nothing is held against an
agent that waits for a person, nor against one whose command or subagent works, however long that takes.  An agent that has
reported its result and left commands in the background is let go once none of those works any more.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from orchestrd.clock import Clock
from orchestrd.domain.reportpage import duration

FIRST_SECONDS = 300.0
"""An agent that was started and says nothing at all: Claude Code 2.1.330 takes a second or two, a cold disk some more."""
REST_SECONDS = 60.0
"""After its result, an agent that neither rests nor goes on."""
REPLY_SECONDS = 120.0
"""A control request of ours that is not answered: the CLI answers in milliseconds, whatever else it does."""
DEAF_SECONDS = 120.0
"""Its transcript has an answer of the model that we were never told of."""
SAMPLE_SECONDS = 60.0
"""Before the limit of silence during a call: from then on it is seen whether anything works."""
BUSY = 0.05
"""The part of a processor that is work, and not the turning over of an idle program."""
TRICKLE = 64.0
"""Bytes a second that an idle program may write: event loops wake themselves that way.  A download writes more."""
VEILED = 2.0
"""
How many times the limit of silence an answer of the model may take that is told of only at its end: with the default of a quarter
of an hour, the 64,000 tokens that are the most of one at 36 a second.
"""


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """
    What lives of the agent: how many *commands*, processes that were begun since the oldest call under way, and the *cpu* seconds
    that all its processes have used together.  *beside* the agent itself are so many, which have used *beside_cpu* of those,
    have *written* so many bytes, and *spoken* so many into the files that take their output.
    """

    commands: int = 0
    cpu: float = 0.0
    beside: int = 0
    beside_cpu: float = 0.0
    written: int = 0
    spoken: int = 0


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the session sees, when it has heard all that was said until *as_of*, by default now.  *standing*: the agent waits for a
    person, or is being ended as it should; *occupied*: a call or a subagent is under way; *veiled*: the model may be answering
    without a word of it being told; *reported*: its turn has ended with a result, and everything we said is dealt with; *leaves*:
    commands in the background are under way; *unanswered* are ids of our control requests without a reply; *unheard*: its
    transcripts hold an answer of the model that its output does not.
    """

    as_of: float | None = None
    standing: bool = False
    occupied: bool = False
    veiled: bool = False
    reported: bool = False
    leaves: bool = False
    unanswered: frozenset[str] = frozenset()
    unheard: bool = False


class Finding(StrEnum):
    """
    What an agent's silence comes to.
    """

    WELL = "well"
    LOOK = "look"
    """It is time to look whether anything of it works: `Watchdog.examine`."""
    RESTLESS = "restless"
    """It has reported its result and does not come to rest, or only for what it left behind: it may be asked to leave."""
    HUNG = "hung"


class Watchdog:
    """
    Watches one agent.
    """

    def __init__(self, clock: Clock, *, silence: float) -> None:
        """
        *silence* is how many seconds without a sign of life are too long.
        """
        self._clock = clock
        self._silence = silence
        self._span = min(SAMPLE_SECONDS, silence / 2)
        self._sign = clock.monotonic()
        self._spoke = False
        self._asked: dict[str, float] = {}
        self._unheard_since: float | None = None
        self._sample: tuple[float, Vitals] | None = None
        self._limit = silence
        self._leaves = False
        self.left_behind = 0
        """How many processes were found idle beside an agent that may be asked to leave."""
        self.reason = ""
        """Why it is found to hang."""

    def heard(self, *, lives: bool = True, pause: float = 0.0) -> None:
        """
        The agent said something.  It *lives* when that shows that something is done, of which the next is expected a *pause* of
        so many seconds later; its first word is a sign of life, whatever it is.
        """
        self._unheard_since = None
        if lives or not self._spoke:
            self._sign = self._clock.monotonic() + pause
            self._sample = None
        self._spoke = True

    def look(self, scene: Scene) -> Finding:
        """
        What the present *scene* comes to.
        """
        now = self._clock.monotonic() if scene.as_of is None else scene.as_of
        self._asked = {name: now if scene.standing else self._asked.get(name, now) for name in scene.unanswered}
        if scene.standing:
            self._sign = now
            self._unheard_since = self._sample = None
            return Finding.WELL
        if scene.unheard and self._unheard_since is None:
            self._unheard_since = now
        silent = now - self._sign
        self._limit = self._silence * (VEILED if scene.veiled else 1.0)
        self._leaves = scene.reported and scene.leaves
        if self._spoke and any(now - since > REPLY_SECONDS for since in self._asked.values()):
            return self._hangs(f"it did not answer for {duration(REPLY_SECONDS)} when it was asked what it has spent")
        if not self._spoke and silent > min(FIRST_SECONDS, self._silence):
            return self._hangs(f"it said nothing for {duration(min(FIRST_SECONDS, self._silence))} after its start")
        if self._unheard_since is not None and now - self._unheard_since > DEAF_SECONDS:
            return self._hangs("its output has stopped while it works on: its transcript holds what was never heard")
        if scene.occupied:
            return self._during_a_call(silent)
        if self._leaves:
            return self._beside_what_it_left(now)
        if scene.reported and silent > REST_SECONDS:
            return Finding.RESTLESS
        if silent > self._limit:
            return self._hangs(f"it gave no sign of life for {duration(self._limit)}")
        return Finding.WELL

    def _during_a_call(self, silent: float) -> Finding:
        if self._sample is None:
            return Finding.LOOK if silent > self._limit - self._span else Finding.WELL
        sampled = self._sample[0] - self._sign
        due = self._limit if sampled < self._limit else sampled + self._span
        return Finding.LOOK if silent > due else Finding.WELL

    def _beside_what_it_left(self, now: float) -> Finding:
        """
        It is looked at from the beginning: what works now and then works.
        """
        if self._sample is None:
            return Finding.LOOK
        end = self._sign + self._silence
        due = self._sample[0] + self._span
        return Finding.LOOK if now > (min(due, end) if self._sample[0] < end else due) else Finding.WELL

    def examine(self, vitals: Vitals) -> Finding:
        """
        What *vitals*, looked at because of `Finding.LOOK`, come to: a call that nothing works on, neither a process of its own
        nor one that was there before and is busy or writes, will not end.  Nor will what was left in the background, once none of it has
        used the processor, written or said anything for as long as an agent may be silent.
        """
        now = self._clock.monotonic()
        sample, self._sample = self._sample, (now, vitals)
        if sample is None:
            return Finding.WELL
        since, before = sample
        if self._leaves:
            return self._let_go(vitals, before, now, now - since)
        works = vitals.commands > 0 or vitals.cpu - before.cpu > BUSY * (now - since)
        works = works or vitals.written - before.written > TRICKLE * (now - since)
        if works:
            return Finding.WELL
        return self._hangs(f"its call hangs: for {duration(self._limit)} nothing was heard, and no process works on it")

    def _let_go(self, vitals: Vitals, before: Vitals, now: float, passed: float) -> Finding:
        if (
            vitals.beside_cpu - before.beside_cpu > BUSY * passed
            or vitals.written - before.written > TRICKLE * passed
            or vitals.spoken > before.spoken
        ):
            self._sign = now
        if now - self._sign <= self._silence:
            return Finding.WELL
        self.left_behind = vitals.beside
        return Finding.RESTLESS

    def _hangs(self, reason: str) -> Finding:
        self.reason = reason
        return Finding.HUNG
