"""
Whether an agent goes round in circles: how often it made the very same call and had it fail, and changed nothing in between.

Each conversation of a process, the main one and every subagent's, goes round for itself, whatever the others do meanwhile.

To run the same tests again after each edit, and have them fail, is how work is done.  So a call that works starts all counts of its
conversation anew, unless it only looked.  So does one that fails and may have changed something all the same, such as a command line
that writes a file before its tests fail; but only the first time, or two that fail in turn would never be a circle.  What a failing
call says of its failure tells nothing: durations and times are different each time, whether something was done or not.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from orchestrd.policy.calls import AGENTS
from orchestrd.policy.effect import Effect, effect_of
from orchestrd.protocol import messages as m

RECENT = 16
"""Failing calls of one conversation that are remembered: a circle of more is not seen."""
_LETS_WORK = AGENTS | {"AskUserQuestion", "BashOutput", "TaskOutput"}
"""Tools that change nothing themselves, and have somebody else do so, or wait until something has.  (Claude Code 2.1.330)"""
_SLEEPS = re.compile(r"\b(?:sleep|tail)\b")
"""Commands that let time pass: what was waited for may be there then."""


class _Made(msgspec.Struct, frozen=True):
    """
    A call by its *mark*, the same for the same tool with the same input, and what it may change.
    """

    mark: bytes
    effect: Effect


class _Failing(msgspec.Struct, frozen=True):
    """
    What a failing call is about, and how often it failed since something was changed.
    """

    what: str = ""
    count: int = 0


class Repetition:
    """
    The calls of one process, as they are made and return.
    """

    def __init__(self) -> None:
        self.unpaid: set[str] = set()
        """Ids of the agent's requests that were denied for want of money; told from outside."""
        self._leave: dict[str, str] = {}
        """Tool call to the request for leave to make it."""
        self._made: dict[str, _Made] = {}
        self._failing: dict[str | None, dict[bytes, _Failing]] = {}
        """By conversation, as the messages name it: the calls that failed by their marks, the last one last."""

    @property
    def count(self) -> int:
        """
        How often the very same call was made in one conversation and has failed, with nothing changed in between, where that is
        most.
        """
        return self._worst.count

    @property
    def call(self) -> str:
        """
        What that call is about.
        """
        return self._worst.what

    @property
    def _worst(self) -> _Failing:
        found = (call for calls in self._failing.values() for call in calls.values())
        return max(found, key=lambda call: call.count, default=_Failing())

    def made(self, call: m.ToolCall) -> None:
        """
        A tool is called.
        """
        whole = msgspec.json.encode([call.name, call.input], order="sorted")
        self._made[call.id] = _Made(hashlib.blake2b(whole, digest_size=16).digest(), _effect(call))

    def asked(self, call: str, request: str) -> None:
        """
        The agent asks by *request* for leave to make the tool *call*.
        """
        self._leave[call] = request

    def returned(self, result: m.ToolResult, what: str) -> None:
        """
        A call about *what* has returned.  That there is no money for one tells nothing of it.
        """
        made = self._made.pop(result.id, None)
        if self._leave.pop(result.id, "") in self.unpaid or made is None:
            return
        calls = self._failing.pop(result.subagent, {})
        before = calls.pop(made.mark, None)
        if result.is_error:
            if before is None and made.effect is Effect.DESTROYS and not result.denied:
                calls = {mark: _Failing(call.what) for mark, call in calls.items()}
            calls[made.mark] = _Failing(what, 1 + (before.count if before is not None else 0))
            if len(calls) > RECENT:
                del calls[next(iter(calls))]
        elif made.effect is not Effect.READS:
            calls = {}
        if calls:
            self._failing[result.subagent] = calls

    def over(self, subagent: str) -> None:
        """
        The *subagent* that this call began is done.
        """
        self._failing.pop(subagent, None)


def _effect(call: m.ToolCall) -> Effect:
    """
    What may have changed by the time the *call* has returned.
    """
    effect = effect_of(call.name, call.input)
    waits = call.name in _LETS_WORK or (call.name == "Bash" and _SLEEPS.search(str(call.input.get("command"))))
    return Effect.DESTROYS if waits else effect
