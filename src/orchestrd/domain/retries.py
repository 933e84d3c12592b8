"""
What follows a run that ended: done, another run, or the end of the task.

One table says of every cause what it means; ``follow_up`` turns it into the next fact about the task.  Causes that concern the
account and not the task are kept for all tasks at once, see `domain.account`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.rows import RunRow, TaskRow


class Fault(StrEnum):
    """
    Who must change for another run to end otherwise.
    """

    NOBODY = "nobody"
    AGENT = "agent"
    TASK = "task"
    MACHINE = "machine"
    SERVICE = "service"
    ACCOUNT = "account"
    PERSON = "person"


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one cause means, and what is done about it.

    *again*: there is another run, which goes on with the conversation when it *resumes* and takes a fresh one otherwise, after
    *first* seconds, doubled for each time it happened before, at most *cap*.  It *counts* against the task's retries, or,
    where it does not, happens to it *bound* times at most, None for no bound; *apart*: those times are counted by themselves, and
    not with what else is bound.  *shared*: it happens to every
    agent of the account, and so it is waited for by all, by `domain.account`, and not by the task; *asks*: until the person
    has done something about it.
    """

    outcome: Outcome
    fault: Fault
    again: bool = True
    resumes: bool = True
    first: float = 2.0
    cap: float = 300.0
    counts: bool = True
    bound: int | None = None
    apart: bool = False
    shared: bool = False
    asks: bool = False


def _final(outcome: Outcome, fault: Fault) -> Remedy:
    return Remedy(outcome=outcome, fault=fault, again=False, resumes=False)


def _shared(outcome: Outcome, fault: Fault, *, first: float, cap: float, asks: bool = False) -> Remedy:
    return Remedy(outcome=outcome, fault=fault, first=first, cap=cap, counts=False, shared=True, asks=asks)


SETBACKS = 5
"""How often a run may be lost to the machine before its task is given up: something there goes wrong each time."""
REFUSALS = 5
"""How often the service may fail one task that it, or another, was answered in between: then the failure is the task's own."""
PROGRESS = 600.0
"""Seconds for which a run that the service answers must have worked before what fails it is held against the hour, not the task."""


def _lost(outcome: Outcome, *, first: float = 2.0) -> Remedy:
    return Remedy(outcome=outcome, fault=Fault.MACHINE, first=first, counts=False, bound=SETBACKS)


REMEDIES: dict[Cause, Remedy] = {
    Cause.DONE: _final(Outcome.SUCCEEDED, Fault.NOBODY),
    Cause.CANCELLED: _final(Outcome.KILLED, Fault.PERSON),
    # More time, money or leave is the person's to give.
    Cause.TIMED_OUT: _final(Outcome.TIMED_OUT, Fault.TASK),
    Cause.AGENT_BUDGET: _final(Outcome.OVER_BUDGET, Fault.PERSON),
    Cause.VIOLATION: _final(Outcome.VIOLATION, Fault.AGENT),
    Cause.NO_MODEL: _final(Outcome.FAILED, Fault.PERSON),
    # A fresh conversation does not repeat the same dead end.
    Cause.GAVE_UP: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.CHECK_FAILED: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.NO_WORK: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.TOO_LONG: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.OUTPUT_LIMIT: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.DECLINED: Remedy(outcome=Outcome.FAILED, fault=Fault.TASK, resumes=False),
    Cause.BAD_REQUEST: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    Cause.UNUSABLE: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT, resumes=False),
    # Nothing is wrong with the conversation.
    Cause.TURN_LIMIT: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT),
    Cause.LOOPED: Remedy(outcome=Outcome.STALLED, fault=Fault.AGENT),
    # Of what nobody explains nobody else is told: it is waited for, and tried as often as the task may.
    Cause.UNEXPLAINED: Remedy(outcome=Outcome.FAILED, fault=Fault.SERVICE, first=30.0),
    Cause.CRASHED: Remedy(outcome=Outcome.FAILED, fault=Fault.AGENT),
    Cause.KILLED: Remedy(outcome=Outcome.KILLED, fault=Fault.PERSON),
    Cause.NOT_READY: Remedy(outcome=Outcome.FAILED, fault=Fault.PERSON, resumes=False),
    # The task had no part in it; but a task that takes the machine down each time must not do so for ever.
    Cause.UNFOLLOWED: _lost(Outcome.FAILED, first=10.0),
    Cause.NOT_STARTED: _lost(Outcome.FAILED, first=10.0),
    Cause.OUT_OF_MEMORY: _lost(Outcome.KILLED, first=30.0),
    Cause.LET_DOWN: _lost(Outcome.KILLED),
    Cause.VANISHED: _lost(Outcome.ABANDONED),
    # Once, whatever the task may: it may have been the service or the machine, and a second time nobody knows what would help.
    Cause.STALLED: Remedy(outcome=Outcome.STALLED, fault=Fault.AGENT, first=10.0, counts=False, bound=1, apart=True),
    # The limit itself is what it waits for.
    Cause.TASK_LIMIT: Remedy(outcome=Outcome.OVER_BUDGET, fault=Fault.PERSON, first=0.0, counts=False),
    Cause.DAY_LIMIT: Remedy(outcome=Outcome.OVER_BUDGET, fault=Fault.PERSON, first=0.0, counts=False),
    Cause.WINDOW: _shared(Outcome.RATE_LIMITED, Fault.ACCOUNT, first=900.0, cap=3600.0),
    # How long the service wants to be left alone (retry-after) is told nowhere, neither in the stream nor in the transcript, and
    # where that is longer than a minute Claude Code 2.1.330 gives up at once: it can only be found out, ever more seldom.
    Cause.RATE_LIMIT: _shared(Outcome.RATE_LIMITED, Fault.ACCOUNT, first=60.0, cap=3600.0),
    # Claude Code 2.1.330 gives up after three tries of some seconds, or, with a subscription's token, after eleven in three minutes:
    # the service needs longer.
    Cause.OVERLOADED: _shared(Outcome.RATE_LIMITED, Fault.SERVICE, first=60.0, cap=900.0),
    Cause.SERVER_ERROR: _shared(Outcome.FAILED, Fault.SERVICE, first=60.0, cap=900.0),
    Cause.UNREACHABLE: _shared(Outcome.FAILED, Fault.MACHINE, first=60.0, cap=900.0),
    Cause.UNAUTHORIZED: _shared(Outcome.FAILED, Fault.PERSON, first=0.0, cap=0.0, asks=True),
    Cause.UNPAID: _shared(Outcome.FAILED, Fault.PERSON, first=0.0, cap=0.0, asks=True),
    Cause.UNMETERED: _shared(Outcome.FAILED, Fault.PERSON, first=0.0, cap=0.0, asks=True),
}


def pause(first: float, cap: float, before: int, subject: str) -> float:
    """
    Seconds to wait when it happened *before* times already: doubled for each, up to *cap*, and a tenth more or less, always the
    same for one *subject* and another for the next, so that not all come back at once.
    """
    return float(min(max(cap, first), first * 2.0 ** min(before, 30)) * (0.9 + 0.2 * spread(f"{subject}/{before}")))


def spread(subject: str) -> float:
    """
    A number from 0 to 1, always the same for one *subject*.
    """
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4], "big") / 2**32


def refusals(task: TaskRow, run: RunRow, cause: Cause, recovered_at: float | None, now: float) -> int:
    """
    How often the service has failed *task*, with the end of *run* by *cause* at wall time *now*, though since the failure before
    that it had answered another of its runs, or another task, at *recovered_at* (wall seconds).  Only a success begins anew, or the
    person: what fails each run after some answers is paid for each time.  One that was answered and worked long proves that
    it is not the task, and does not count.

    A service that is down for all fails none of them for it.  A usage window is the account's, whoever runs into it.
    """
    remedy = REMEDIES[cause]
    if not remedy.shared or remedy.asks or cause is Cause.WINDOW or (run.answered and run.worked(now) >= PROGRESS):
        return task.refusals
    between = run.answered or (
        recovered_at is not None and task.parked_at is not None and recovered_at > task.parked_at
    )
    return task.refusals + (task.parked_at is not None and between)


def follow_up(
    task: TaskRow,
    run: RunRow,
    *,
    cause: Cause,
    reason: str,
    now: float,
    default_retries: int,
    conversation: bool = True,
    refused: int = 0,
) -> ev.TaskSucceeded | ev.TaskFailed | ev.TaskRequeued | ev.TaskCancelled:
    """
    The fact about *task* that follows the end of *run* by *cause* at wall time *now*.

    *conversation* says that the run's conversation is there to be resumed, *refused* what `refusals` counts of it.
    """
    remedy = REMEDIES[cause]
    if run.cancelled:
        return ev.TaskCancelled(task=task.key, by="the person")
    if cause is Cause.DONE:
        return ev.TaskSucceeded(task=task.key)
    words = reason or remedy.outcome
    if task.held:
        return ev.TaskFailed(task=task.key, outcome=remedy.outcome, reason=f"{task.held}; before that: {words}")
    if cause is Cause.UNUSABLE and not task.fresh_starts:
        return ev.TaskRequeued(
            task=task.key, reason=f"starts afresh: {reason}", not_before=now, fresh=True, refusals=refused
        )
    # A conversation exists once the agent's first turn began, in this run or in the one it continues.
    resumable = remedy.resumes and conversation and (run.resumes or run.model is not None)
    session = run.session if resumable else None
    if remedy.shared and refused >= REFUSALS:
        words = f"the service failed it {refused} times more, though it had answered in between: {words}"
        return ev.TaskFailed(task=task.key, outcome=remedy.outcome, reason=words)
    if not remedy.counts:
        before = task.stalls if remedy.apart else task.setbacks
        if remedy.bound is not None and before >= remedy.bound:
            return ev.TaskFailed(task=task.key, outcome=remedy.outcome, reason=reason)
        wait = 0.0 if remedy.shared else pause(remedy.first, remedy.cap, before, run.key)
        return ev.TaskRequeued(
            task=task.key,
            reason=f"taken up again, once, after: {words}" if remedy.apart else words,
            not_before=now + wait,
            session=session,
            counted=False,
            setback=remedy.bound is not None and not remedy.apart,
            stall=remedy.apart,
            parked=remedy.shared,
            refusals=refused,
        )
    allowed = default_retries if task.spec.retries is None else task.spec.retries
    if not remedy.again or task.failures >= allowed:
        return ev.TaskFailed(task=task.key, outcome=remedy.outcome, reason=reason)
    return ev.TaskRequeued(
        task=task.key,
        reason=f"retry {task.failures + 1} of {allowed} after: {words}",
        not_before=now + pause(remedy.first, remedy.cap, task.failures, run.key),
        session=session,
        refusals=refused,
    )
