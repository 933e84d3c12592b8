"""
Sees that an agent hangs: every way in which nothing happens any more that should, each with its own limit.

Pure but for the clock it is given, which is a monotonic one that stands while the home is frozen.  Nothing is held against an
agent that waits for a person, nor against one whose command or subagent works, however long that takes.
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


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """
    What lives of the agent: how many *commands*, processes that were begun since the oldest call under way, and the *cpu* seconds
    that all its processes have used together.
    """

    commands: int = 0
    cpu: float = 0.0


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the session sees.  *standing*: it waits for a person, or is being ended as it should; *occupied*: a call or work in the
    background is under way; *reported*: its turn has ended with a result, and everything we said is dealt with; *unanswered*
    are ids of our control requests without a reply; *unheard*: its transcripts hold an answer of the model that its output does
    not.
    """

    standing: bool = False
    occupied: bool = False
    reported: bool = False
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
    """It has reported its result and does not come to rest: it may be asked to leave."""
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
        self.reason = ""
        """Why it is found to hang."""

    def heard(self) -> None:
        """
        The agent said something.
        """
        self._sign = self._clock.monotonic()
        self._spoke = True
        self._unheard_since = self._sample = None

    def look(self, scene: Scene) -> Finding:
        """
        What the present *scene* comes to.
        """
        now = self._clock.monotonic()
        self._asked = {name: now if scene.standing else self._asked.get(name, now) for name in scene.unanswered}
        if scene.standing:
            self._sign = now
            self._unheard_since = self._sample = None
            return Finding.WELL
        if scene.unheard and self._unheard_since is None:
            self._unheard_since = now
        silent = now - self._sign
        if self._spoke and any(now - since > REPLY_SECONDS for since in self._asked.values()):
            return self._hangs(f"it did not answer for {duration(REPLY_SECONDS)} when it was asked what it has spent")
        if not self._spoke and silent > min(FIRST_SECONDS, self._silence):
            return self._hangs(f"it said nothing for {duration(min(FIRST_SECONDS, self._silence))} after its start")
        if self._unheard_since is not None and now - self._unheard_since > DEAF_SECONDS:
            return self._hangs("its output has stopped while it works on: its transcript holds what was never heard")
        if scene.occupied:
            return self._during_a_call(silent)
        if scene.reported and silent > REST_SECONDS:
            return Finding.RESTLESS
        if silent > self._silence:
            return self._hangs(f"it gave no sign of life for {duration(self._silence)}")
        return Finding.WELL

    def _during_a_call(self, silent: float) -> Finding:
        if self._sample is None:
            return Finding.LOOK if silent > self._silence - self._span else Finding.WELL
        sampled = self._sample[0] - self._sign
        due = self._silence if sampled < self._silence else sampled + self._span
        return Finding.LOOK if silent > due else Finding.WELL

    def examine(self, vitals: Vitals) -> Finding:
        """
        What *vitals*, looked at because of `Finding.LOOK`, come to: a call that nothing works on, neither a process of its own
        nor one that was there before and is busy, will not end.
        """
        now = self._clock.monotonic()
        sample, self._sample = self._sample, (now, vitals)
        if sample is None:
            return Finding.WELL
        since, before = sample
        works = vitals.commands > 0 or vitals.cpu - before.cpu > BUSY * (now - since)
        if works:
            return Finding.WELL
        return self._hangs(
            f"its call hangs: for {duration(self._silence)} nothing was heard, and no process works on it"
        )

    def _hangs(self, reason: str) -> Finding:
        self.reason = reason
        return Finding.HUNG
