"""
Leave for a tool call, asked of a person: the question, and what its answer means.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.events import Permit, QuestionOption
from orchestrd.domain.rows import QuestionRow
from orchestrd.domain.state import State

ONCE, TASK, DENY = "Allow once", "Allow for this task", "Deny"
OPTIONS = (
    QuestionOption(label=ONCE, description="this call, and no other"),
    QuestionOption(label=TASK, description="the very same act, whenever this task does it again"),
    QuestionOption(label=DENY, description="the agent is told so, and goes on without it; add why, if you like"),
)
MOST_SHOWN = 4000
"""Characters of what the call does that the question shows."""
_YES = re.compile(r"(?:allow(?: it)?(?: once)?|yes|y|ok(?:ay)?)[.!]?", re.IGNORECASE)
_ALWAYS = re.compile(r"(?:allow(?: it)?|yes),? (?:for this task|always)[.!]?|always[.!]?", re.IGNORECASE)
_NO = re.compile(r"(?:deny|denied|no|n)(?:[.!,:]\s*|\s+|$)", re.IGNORECASE)


class Leave(Enum):
    """
    What a person gives.
    """

    ONCE = "once"
    TASK = "task"
    NONE = "none"


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """
    The *leave* that is given, and the person's *words* beside it.
    """

    leave: Leave
    words: str = ""

    @property
    def allows(self) -> bool:
        """
        True when the call may be made.
        """
        return self.leave is not Leave.NONE


def text(permit: Permit, act: str) -> str:
    """
    The question: *act* is the whole of what the call does, such as its command line.
    """
    shown = act if len(act) <= MOST_SHOWN else f"{act[:MOST_SHOWN]}\n… ({len(act)} characters in all)"
    rule = f" (rule: {permit.rule})" if permit.rule != "none" else ""
    return f"May the agent do this{rule}?\n\n{permit.tool}: {shown}\n\nWhy you are asked: {permit.reason}"


def header(permit: Permit) -> str:
    """
    The question in a few words.
    """
    line = " ".join(permit.target.split())
    return f"Leave for {permit.tool}: {line}"[:80]


def ruling(answer: str) -> Ruling:
    """
    What *answer* means: leave is given by one of the options or a plain yes, and by nothing else.  Whatever else is said denies,
    and is told to the agent.
    """
    said = answer.strip()
    first, _, rest = said.partition("\n\n")
    if first == TASK or _ALWAYS.fullmatch(said):
        return Ruling(leave=Leave.TASK, words=rest.strip())
    if first == ONCE or _YES.fullmatch(said):
        return Ruling(leave=Leave.ONCE, words=rest.strip())
    if first == DENY:
        return Ruling(leave=Leave.NONE, words=rest.strip())
    return Ruling(leave=Leave.NONE, words=_NO.sub("", said, count=1) if _NO.match(said) else said)


def denial(permit: Permit, given: Ruling) -> str:
    """
    What the agent is told of a call that the person does not allow.
    """
    words = f" They say: {given.words}" if given.words else ""
    return (
        f"A person was asked for leave ({permit.tool}: {permit.target}), and does not give it.{words} Go on without it."
    )


def follow(state: State, row: QuestionRow, answer: str, by: str) -> list[ev.AnyEvent]:
    """
    The facts that *answer* to the question *row* brings with it.
    """
    task = state.task(row.task)
    if row.permit is None or task is None or ruling(answer).leave is not Leave.TASK or task.allows(row.permit.act):
        return []
    permit = row.permit
    name = row.id.partition("/")[2]
    return [
        ev.TaskAllowed(task=row.task, allowance=name, act=permit.act, tool=permit.tool, target=permit.target, by=by)
    ]
