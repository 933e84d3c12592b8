"""
Facts about tasks.
"""

from __future__ import annotations

from orchestrd.domain.events.base import TaskEvent
from orchestrd.domain.model import Outcome, Task


class TaskSubmitted(TaskEvent, frozen=True, kw_only=True, tag="task.submitted"):
    """
    A task is wanted.
    """

    spec: Task


class TaskUpdated(TaskEvent, frozen=True, kw_only=True, tag="task.updated"):
    """
    A task's text changed before it was done.
    """

    spec: Task


class TaskChecking(TaskEvent, frozen=True, kw_only=True, tag="task.checking"):
    """
    The agent ended well; the task's checks are being run.
    """


class TaskSucceeded(TaskEvent, frozen=True, kw_only=True, tag="task.succeeded"):
    """
    The work is done as far as the daemon can tell; what was verified is in the run.
    """


class TaskFailed(TaskEvent, frozen=True, kw_only=True, tag="task.failed"):
    """
    No further run will be tried by itself.
    """

    outcome: Outcome
    reason: str


class TaskRequeued(TaskEvent, frozen=True, kw_only=True, tag="task.requeued"):
    """
    Another run will be tried, not before *not_before* (wall seconds), resuming *session* when that is not None.

    *fresh*: a conversation that could not be gone on with was set aside, which is no failure of the task.  Not *counted*: nor
    was what happened otherwise; *setback*: but such a thing cannot happen to it for ever; *stall*: nor can it hang for ever,
    which is counted apart.  *parked*: it waits for what all agents run into; *refusals* is how often in a row that happened to
    it while the service answered others.
    """

    reason: str
    not_before: float = 0.0
    session: str | None = None
    by_person: bool = False
    fresh: bool = False
    counted: bool = True
    setback: bool = False
    parked: bool = False
    refusals: int = 0
    stall: bool = False


class TaskCancelled(TaskEvent, frozen=True, kw_only=True, tag="task.cancelled"):
    """
    The person does not want the task any more.
    """

    by: str = ""


class TaskAllowed(TaskEvent, frozen=True, kw_only=True, tag="task.allowed"):
    """
    The person allows the task exactly one act that is denied otherwise: *allowance* is the name of the violation or the question
    that it was, *act* its mark (`policy.acts`), *tool* and *target* what people read of it.
    """

    allowance: str
    act: str
    tool: str
    target: str
    by: str = ""


class TaskDisallowed(TaskEvent, frozen=True, kw_only=True, tag="task.disallowed"):
    """
    The person took that *allowance* back.
    """

    allowance: str
    by: str = ""


class TaskHeld(TaskEvent, frozen=True, kw_only=True, tag="task.held"):
    """
    No other run of the task begins until the person asks for it; *reason* says why.
    """

    reason: str


class TaskLimitWarned(TaskEvent, frozen=True, kw_only=True, tag="task.limit_warned"):
    """
    What the task has cost passed the warning threshold of its own limit.  Nano-USD.
    """

    spent: int
    limit: int


class TaskLimitReached(TaskEvent, frozen=True, kw_only=True, tag="task.limit_reached"):
    """
    The task's own limit is used up, but for a summary: it goes no further until the person gives it more.  Nano-USD.
    """

    spent: int
    limit: int


class TaskLimitRaised(TaskEvent, frozen=True, kw_only=True, tag="task.limit_raised"):
    """
    The person gave the task *amount* more (nano-USD).
    """

    amount: int
    by: str = ""


class TaskApplied(TaskEvent, frozen=True, kw_only=True, tag="task.applied"):
    """
    The task's changes were brought over into the person's tree, unstaged.
    """

    files: tuple[str, ...] = ()
