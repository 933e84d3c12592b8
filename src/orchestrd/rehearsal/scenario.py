"""
What the rehearsal model says: scenarios, their steps and faults, and which of them is next.  Pure.

A step answers one request.  Which one is due is read from the conversation the CLI sends along, never remembered, so a
resumed session goes on where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from orchestrd.domain.model import Usage
from orchestrd.rehearsal.conversation import Conversation, Exchange


class FaultKind(StrEnum):
    """
    How an answer fails.
    """

    ERROR = "error"
    """An HTTP error instead of the answer."""
    HANG = "hang"
    """The stream stops half-way and never ends, whatever keeps it open."""
    CUT = "cut"
    """The connection is closed half-way."""
    SSE_ERROR = "sse_error"
    """The stream carries an ``error`` event half-way and ends."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """
    One way a step fails the first *times* it is asked for; None means for ever.  *delay* is in seconds; *beat* is what a stream
    that hangs goes on with: ``pings``, ``empty`` deltas, or nothing.
    """

    kind: FaultKind
    times: int | None = 1
    status: int = 529
    type: str = "overloaded_error"
    message: str = "Overloaded"
    headers: dict[str, str] = {}
    delay: float = 0.0
    beat: str = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """
    Regexes that must all be found: in the newest tool results, in the newest words of the user, or in anything the user's
    side has sent since the conversation began.
    """

    result: str | None = None
    user: str | None = None
    seen: str | None = None

    def holds(self, newest: Exchange, seen: str) -> bool:
        """
        True when every regex given is found.
        """
        pairs = ((self.result, newest.results), (self.user, newest.user), (self.seen, seen))
        return all(pattern is None or re.search(pattern, text) for pattern, text in pairs)


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tool the model calls; strings anywhere inside *input* may hold variables.
    """

    name: str
    input: dict[str, object] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer of the model.  *delay* is seconds before the first byte, *pace* seconds between the events of a stream, *message_id*
    the id it is given, by default one of its own: a gateway may give all the same, or an empty one.
    """

    text: str | None = None
    thinking: str | None = None
    tools: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    stop_reason: str | None = None
    """None: ``tool_use`` when a tool is called, else ``end_turn``."""
    delay: float = 0.0
    pace: float = 0.0
    message_id: str | None = None
    headers: dict[str, str] = {}
    faults: tuple[Fault, ...] = ()
    when: Condition | None = None
    unless: Condition | None = None
    n: int = 1
    """Which repetition of its line in the file this is, from 1."""

    def fits(self, newest: Exchange, seen: str) -> bool:
        """
        False when a condition says that this step is to be passed over.
        """
        if self.when is not None and not self.when.holds(newest, seen):
            return False
        return self.unless is None or not self.unless.holds(newest, seen)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """
    The model's part in every conversation whose first user message holds *match*, or matches the regex *pattern*.

    *vars* are regexes over that message: group 1, or the whole match, is what the variable stands for.
    """

    name: str
    match: str | None = None
    pattern: str | None = None
    vars: dict[str, str] = {}
    steps: tuple[Step, ...]

    def fits(self, first: str) -> bool:
        """
        True when a conversation that begins with *first* is this scenario's.
        """
        if self.match is not None:
            return self.match in first
        return self.pattern is not None and re.search(self.pattern, first) is not None


def choose(scenarios: Sequence[Scenario], first: str) -> Scenario | None:
    """
    The first scenario that fits a conversation beginning with *first*.
    """
    return next((scenario for scenario in scenarios if scenario.fits(first)), None)


def next_position(scenario: Scenario, conversation: Conversation) -> int:
    """
    Where in ``scenario.steps`` the conversation stands; ``len(steps)`` when all has been said.

    A tool id of ours names its step, which is certain even after the CLI compacted the conversation; answers without
    tools are counted.
    """
    position = conversation.start
    seen = ""
    for exchange in conversation.past:
        seen = f"{seen}\n{exchange.results}\n{exchange.user}"
        if exchange.position is not None:
            position = exchange.position + 1
        else:
            position = min(_fitting(scenario, position, exchange, seen) + 1, len(scenario.steps))
    newest = conversation.newest
    return _fitting(scenario, position, newest, f"{seen}\n{newest.results}\n{newest.user}")


def _fitting(scenario: Scenario, position: int, newest: Exchange, seen: str) -> int:
    for index in range(position, len(scenario.steps)):
        if scenario.steps[index].fits(newest, seen):
            return index
    return len(scenario.steps)


def due_fault(step: Step, shown: int) -> Fault | None:
    """
    The fault to show when the step has failed *shown* times already; None when its answer is due.
    """
    for fault in step.faults:
        if fault.times is None or shown < fault.times:
            return fault
        shown -= fault.times
    return None
