"""
Which granted tool calls of an agent wait until its tree is kept, and for how long.

A call that may delete or overwrite is answered once a snapshot holds what is there; not when nothing can have changed since the
last one.  The session goes on meanwhile: other calls are answered, and the agent can be halted.  A tree that takes too long to be
kept holds no call for ever.  One that cannot be kept does: such a call is denied.
"""

from __future__ import annotations

import msgspec

from orchestrd.clock import Clock
from orchestrd.logs import get_logger
from orchestrd.policy.effect import Effect
from orchestrd.runner.desk import Desk, Keeping
from orchestrd.runner.heard import Reply
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.voice import Voice

log = get_logger(__name__)
UNKEPT = (
    "Not done: before a call that may delete or overwrite, a snapshot is taken of the working tree, and none could be: {trouble}."
    " If something you made in it is the reason, undo that with a call that only does this, or go on with what reads, and with Edit"
    " and Write; otherwise try again later, and say so in your summary."
)
"""What an agent is told."""


class Held(msgspec.Struct, kw_only=True):
    """
    A *reply* that waits *since* a moment on the monotonic clock until its tree is *kept*.
    """

    reply: Reply
    since: float
    kept: Keeping


class Keeper:
    """
    Those of one run.
    """

    def __init__(self, interpreter: Interpreter, voice: Voice, desk: Desk, clock: Clock, *, hold: float) -> None:
        """
        No call is held longer than *hold* seconds.
        """
        self._interpreter = interpreter
        self._voice = voice
        self._desk = desk
        self._clock = clock
        self._hold = hold
        self._held: dict[str, Held] = {}
        self._at_work: set[str] = set()
        """Calls that may change the tree, were granted, and have not returned."""
        self._heard_of: set[str] = set()
        """Those of them that the stream told of: a call may ask for leave before that (Claude Code 2.1.197)."""
        self._unkept = True
        """True when something may have changed since the last snapshot of this session began."""

    def ready(self, replies: list[Reply]) -> list[Reply]:
        """
        *replies* without those that wait for a snapshot, and with those for which there is one by now.
        """
        now = self._clock.monotonic()
        self._note_returned()
        found = []
        for reply in replies:
            destroys = reply.grants is not None and reply.effect is Effect.DESTROYS
            if destroys and reply.request not in self._voice.answered and self._needed():
                self._held.setdefault(reply.request, Held(reply=reply, since=now, kept=self._keep(reply)))
            else:
                found.append(reply)
        for request, held in list(self._held.items()):
            late = now - held.since > self._hold
            if held.kept.done.is_set() or late:
                if late and not held.kept.done.is_set():
                    log.warning("snapshot.late", run=self._interpreter.run, seconds=self._hold)
                del self._held[request]
                found.append(self._judged(held))
        for reply in found:
            if reply.grants is not None and reply.effect is not Effect.READS:
                self._at_work.add(reply.call)
                self._unkept = True
        return found

    def _judged(self, held: Held) -> Reply:
        """
        The reply that was *held*; the call is denied where the tree could not be kept.
        """
        if not held.kept.trouble:
            return held.reply
        self._unkept = True
        words = UNKEPT.format(trouble=held.kept.trouble)
        return msgspec.structs.replace(held.reply, line=held.reply.denial(words), grants=None)

    def _needed(self) -> bool:
        """
        True unless the tree is as the last snapshot has it.  What works in the background may change it at any moment.
        """
        return self._unkept or bool(self._held) or bool(self._interpreter.background.tasks)

    def _note_returned(self) -> None:
        under_way = self._interpreter.calls.keys()
        returned = self._heard_of - under_way
        self._at_work -= returned
        self._heard_of = (self._heard_of | (self._at_work & under_way)) - returned

    def _keep(self, reply: Reply) -> Keeping:
        self._unkept = bool(self._at_work)
        return self._desk.keep_tree(self._interpreter.run, reply.call)
