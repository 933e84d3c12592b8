"""
When an agent is asked what it has spent, and which of its calls wait for that.

Of a subagent's response the stream tells only the beginning, and of a model that our list does not have not the price.  Such a
response has come to its end when it calls a tool, or does so a moment later: an account that is asked for then tells what it
cost, and until that is recorded the call gets no answer.  A call of the main conversation waits for the end of its response, which
the stream tells.  So no conversation is ever ahead of what is known of it by more than
the one response that it is being given.

A daemon that takes up several agents knows what all have spent only once it has read all of them: until then no call is granted.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from orchestrd.clock import Clock
from orchestrd.runner.heard import Reply
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.voice import Voice

NOW_AND_THEN = 2.0
"""The least seconds between two accounts of an agent of which nothing is unclear: the CLI asks for some things by itself."""
AGAIN = 0.1
"""The least seconds before another one, where something is unclear."""
END = 0.3
"""Seconds after which a call is answered though its response was not heard to end: it does so in a moment, or goes on for long."""
PATIENCE = 1.0
"""
Seconds after which a call is answered though no account has its response yet: a response may go on after its first call, and the
model is not asked for another before it has ended.
"""


class Waiting(msgspec.Struct, kw_only=True):
    """
    A *reply* that waits *since* a moment on the monotonic clock for the account of this id, None until it was asked for.
    """

    reply: Reply
    since: float
    account: str | None = None


class Accounts:
    """
    Those of one run.
    """

    def __init__(
        self, interpreter: Interpreter, voice: Voice, clock: Clock, *, reckoned: Callable[[], bool] = lambda: True
    ) -> None:
        """
        *clock* stands while nothing is expected of the agent; *reckoned* says whether it is known what all agents have spent.
        """
        self._interpreter = interpreter
        self._voice = voice
        self._clock = clock
        self._reckoned = reckoned
        self._waiting: dict[str, Waiting] = {}
        self._asked = self._due = float("-inf")

    def ready(self, replies: list[Reply]) -> list[Reply]:
        """
        *replies* without those that wait for an account, and with those for which it has come by now.
        """
        now = self._clock.monotonic()
        found = []
        for reply in replies:
            unclear = self._early(reply) or self._accountable(reply) or self._interpreter.unended(reply)
            if unclear and reply.request not in self._voice.answered:
                self._waiting.setdefault(reply.request, Waiting(reply=reply, since=now))
            else:
                found.append(reply)
        found += [waiting.reply for waiting in self._waiting.values() if self._told(waiting, now)]
        for reply in found:
            self._waiting.pop(reply.request, None)
        return found

    def waits(self, request: str) -> bool:
        """
        True while the answer to this *request* waits for an account, or for the end of its response.
        """
        return request in self._waiting

    def _told(self, waiting: Waiting, now: float) -> bool:
        """
        True when the call need wait no longer.  An account that does not come at all is the watchdog's: until then nobody knows
        whether there is money for what follows the call.
        """
        reply, waited = waiting.reply, now - waiting.since
        if self._early(reply):
            return False
        if self._interpreter.unended(reply) and waited < END:
            return False
        if not self._accountable(reply):
            return True
        return waiting.account in self._interpreter.replied and (
            not self._interpreter.uncertain(reply) or waited >= PATIENCE
        )

    def _early(self, reply: Reply) -> bool:
        """
        True for a grant for which others may have spent the money.
        """
        return reply.grants is not None and not self._reckoned()

    def _accountable(self, reply: Reply) -> bool:
        """
        True when an account tells what no reading does.
        """
        return self._interpreter.accountable and (reply.subagent or self._interpreter.uncertain(reply))

    def ask(self) -> None:
        """
        Ask for an account when one is due.
        """
        interpreter, now = self._interpreter, self._clock.monotonic()
        if not interpreter.accountable:
            return
        # Those for which none was asked yet, and those whose response the one that came did not have.
        late = [
            waiting
            for waiting in self._waiting.values()
            if self._accountable(waiting.reply)
            and not self._told(waiting, now)
            and (waiting.account is None or (interpreter.has_answered(waiting.account) and now - self._asked >= AGAIN))
        ]
        unclear = interpreter.unclear and now - self._asked >= AGAIN
        if late or unclear or (interpreter.stirred and now >= self._due):
            interpreter.stirred = interpreter.unclear = False
            self._asked, self._due = now, now + NOW_AND_THEN
            account = self._voice.ask_account()
            for waiting in late:
                waiting.account = account
