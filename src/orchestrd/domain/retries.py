"""
What follows a run that ended: done, another run, or the end of the task.

One table says which outcomes are worth another run; ``follow_up`` turns it into the next fact about the task.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome
from orchestrd.domain.rows import RunRow, TaskRow


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one outcome is retried: after *delay* seconds (doubled for each further failure, at most *cap*), continuing the
    conversation when *resume*.
    """

    delay: float
    cap: float
    resume: bool


RETRIES: dict[Outcome, Retry | None] = {
    Outcome.SUCCEEDED: None,
    # The agent said it could not, or a check failed: a fresh conversation does not repeat the same dead end.
    Outcome.FAILED: Retry(delay=2.0, cap=300.0, resume=False),
    # Killed from outside, or lost with the machine: nothing was wrong with the conversation.
    Outcome.KILLED: Retry(delay=2.0, cap=300.0, resume=True),
    Outcome.ABANDONED: Retry(delay=2.0, cap=300.0, resume=True),
    Outcome.STALLED: Retry(delay=10.0, cap=300.0, resume=True),
    # The service is busy: wait longer, go on where it stopped.
    Outcome.RATE_LIMITED: Retry(delay=60.0, cap=900.0, resume=True),
    # More time, money or leave is the person's to give.
    Outcome.TIMED_OUT: None,
    Outcome.OVER_BUDGET: None,
    Outcome.VIOLATION: None,
}


def follow_up(
    task: TaskRow,
    run: RunRow,
    *,
    outcome: Outcome,
    reason: str,
    now: float,
    default_retries: int,
    conversation: bool = True,
    poisoned: bool = False,
    busy_pause: float | None = None,
) -> ev.TaskSucceeded | ev.TaskFailed | ev.TaskRequeued | ev.TaskCancelled:
    """
    The fact about *task* that follows the end of *run* with *outcome* at wall time *now*.

    *conversation* says that the run's conversation is there to be resumed; *poisoned* that it was resumed and cannot be
    gone on with, which costs the task no try, once; *busy_pause* (seconds) is how long a busy
    service is first left alone, or None for the table's own delay.
    """
    if run.cancelled:
        return ev.TaskCancelled(task=task.key, by="the person")
    if outcome is Outcome.SUCCEEDED:
        return ev.TaskSucceeded(task=task.key)
    if task.held:
        return ev.TaskFailed(task=task.key, outcome=outcome, reason=f"{task.held}; before that: {reason or outcome}")
    if poisoned and not task.fresh_starts:
        return ev.TaskRequeued(task=task.key, reason=f"starts afresh: {reason}", not_before=now, fresh=True)
    retry = RETRIES[outcome]
    allowed = default_retries if task.spec.retries is None else task.spec.retries
    if retry is None or task.failures >= allowed:
        return ev.TaskFailed(task=task.key, outcome=outcome, reason=reason)
    first = busy_pause if busy_pause is not None and outcome is Outcome.RATE_LIMITED else retry.delay
    delay = min(max(retry.cap, first), first * 2.0**task.failures)
    return ev.TaskRequeued(
        task=task.key,
        reason=f"retry {task.failures + 1} of {allowed} after: {reason or outcome}",
        not_before=now + delay,
        # A conversation exists once the agent's first turn began, in this run or in the one it continues.
        session=run.session if retry.resume and conversation and (run.resumes or run.model is not None) else None,
    )
