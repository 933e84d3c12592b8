"""
The way down: how an agent is brought to its end.

Interrupt, so that its turn is accounted for; then TERM; then, after the grace, KILL of the whole tree.  The last two steps
are the shim's own: once told, it takes them whether a daemon lives or not.  An agent that is merely done is asked to leave,
and taken down the same way when it stays.

An agent that is frozen cannot react, so no step is taken with it, whatever its clock says, until it is thawed.  Only when the
person cancels it is it ended at once, where it stands: who froze it does not want one more instruction of it to run.

Who tried what is forbidden gets no grace at all: its tree is stopped, so that nothing of it goes on or begins, and killed.
"""

from __future__ import annotations

from orchestrd.clock import Clock
from orchestrd.runner.voice import Voice
from orchestrd.storage.rundir import RunDir

INTERRUPT_SECONDS = 3.0
"""How long an interrupted agent may take to account for its turn before it is told to end."""


class Ladder:
    """
    The steps taken with one agent so far.
    """

    def __init__(self, rundir: RunDir, voice: Voice, *, grace: float, clock: Clock) -> None:
        self._dir = rundir
        self._voice = voice
        self._grace = grace
        self._clock = clock
        self._interrupted: float | None = None
        self._leave_by: float | None = None
        self._felled = False
        self.told = False
        """True once the agent was asked to leave or told to end: it may go at any moment, as it should."""
        self.ended: float | None = None
        """When (monotonic) the shim was first told to end the tree."""
        self.unheard = False
        """True when that could not be said: the way to the shim is gone."""

    def climb(self, *, accounted: bool) -> None:
        """
        The next step for an agent that must stop, if it is due; *accounted* when its turn is over.
        """
        now = self._clock.monotonic()
        if self._interrupted is None:
            # Its programs could go on asking with the key that it was lent.
            self._dir.shut_off()
            self._voice.interrupt()
            self._interrupted = now
        elif not self.told and (accounted or now - self._interrupted > INTERRUPT_SECONDS):
            self.end()

    def dismiss(self) -> None:
        """
        Ask an agent that is done to leave.
        """
        self._voice.dismiss()
        self.told = True
        self._leave_by = self._clock.monotonic() + self._grace

    def end(self) -> None:
        """
        Have the shim end the tree.
        """
        self.told = True
        self._note_end()
        self.unheard = not self._dir.tell(f"stop {self._grace}")

    def fell(self) -> None:
        """
        Have the shim kill a frozen tree, without waking it.
        """
        self.told = True
        if not self._felled:
            self._felled = True
            self._note_end()
            self.unheard = not self._dir.tell("stop 0")

    def strike(self) -> None:
        """
        Have the shim stop the whole tree where it stands, and kill it.
        """
        if not self._felled:
            self._dir.tell("signal SIGSTOP")
            self.fell()

    def hurry(self) -> None:
        """
        End an agent that was asked to leave and has not left in time.
        """
        if self._leave_by is not None and self._clock.monotonic() > self._leave_by:
            self.end()
            self._leave_by = None

    def _note_end(self) -> None:
        if self.ended is None:
            self._dir.shut_off()
            self.ended = self._clock.monotonic()
