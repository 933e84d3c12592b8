"""
Any fact, its place in the journal, and what it is about.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events.base import DayEvent, Event, QuestionEvent, RunEvent, TaskEvent
from orchestrd.domain.events.home import (
    AccountBlocked,
    AccountOpened,
    AccountRetried,
    DaemonStarted,
    DaemonStopped,
    DayClosed,
    DaySubmitted,
    HomeFrozen,
    HomeThawed,
    LimitRaised,
    LimitReached,
    LimitWarned,
)
from orchestrd.domain.events.questions import AnswerDelivered, QuestionAnswered, QuestionAsked, QuestionWithdrawn
from orchestrd.domain.events.runs import (
    RunContained,
    RunCurtailed,
    RunExited,
    RunInitialised,
    RunLeaving,
    RunPrepared,
    RunRelieved,
    RunStarted,
    RunStopping,
    RunSwept,
)
from orchestrd.domain.events.salvage import FactLost, JournalSalvaged, RowRestored
from orchestrd.domain.events.spend import SpendSeen, SpendSettled, SpendTold
from orchestrd.domain.events.stream import (
    RateLimitSeen,
    RetrySeen,
    StreamDamaged,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    ViolationSeen,
)
from orchestrd.domain.events.tasks import (
    TaskApplied,
    TaskCancelled,
    TaskChecking,
    TaskFailed,
    TaskHeld,
    TaskLimitRaised,
    TaskLimitReached,
    TaskLimitWarned,
    TaskRequeued,
    TaskSubmitted,
    TaskSucceeded,
    TaskUpdated,
)

AnyEvent = (
    DaemonStarted
    | DaemonStopped
    | HomeFrozen
    | HomeThawed
    | AccountBlocked
    | AccountRetried
    | AccountOpened
    | DaySubmitted
    | LimitWarned
    | LimitReached
    | LimitRaised
    | DayClosed
    | TaskSubmitted
    | TaskUpdated
    | TaskChecking
    | TaskSucceeded
    | TaskFailed
    | TaskHeld
    | TaskLimitWarned
    | TaskLimitReached
    | TaskLimitRaised
    | TaskRequeued
    | TaskCancelled
    | TaskApplied
    | RunStarted
    | RunPrepared
    | RunContained
    | RunInitialised
    | RunStopping
    | RunCurtailed
    | RunRelieved
    | RunLeaving
    | RunExited
    | RunSwept
    | SpendSeen
    | SpendSettled
    | SpendTold
    | TurnEnded
    | ToolCalled
    | ToolReturned
    | RetrySeen
    | RateLimitSeen
    | StreamDamaged
    | ViolationSeen
    | QuestionAsked
    | QuestionAnswered
    | AnswerDelivered
    | QuestionWithdrawn
    | FactLost
    | JournalSalvaged
    | RowRestored
)


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a run's stream has been turned into facts: from byte *start* to byte *end*.
    """

    run: str
    start: int
    end: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    A fact with its place in the journal: *seq* counts from 1 without gaps, *at* is wall seconds and only informs.
    *source* is the part of a run's stream it was read from, or None.
    """

    seq: int
    at: float
    event: AnyEvent
    source: Cursor | None = None


def task_of(event: Event) -> str | None:
    """
    The full name of the task an event is about, or None.
    """
    match event:
        case TaskEvent(task=task):
            return task
        case RunEvent(run=run):
            return run.rpartition("/")[0]
        case QuestionEvent(question=question):
            return question.rpartition("#")[0]
        case _:
            return None


def day_of(event: Event) -> str | None:
    """
    The day an event is about, or None.
    """
    if isinstance(event, DayEvent):
        return event.day
    task = task_of(event)
    return task.partition("/")[0] if task else None


def run_of(event: Event) -> str | None:
    """
    The run an event is about, or None.
    """
    if isinstance(event, RunEvent):
        return event.run
    return event.run or None if isinstance(event, QuestionAsked) else None
