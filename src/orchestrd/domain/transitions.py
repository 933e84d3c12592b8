"""
The state machines of tasks, runs and questions, as data: ``(state, event type) -> state``.

Everything that decides which fact may follow which is here; a pair that is missing is an error, never a guess.
"""

from __future__ import annotations

from typing import TypeVar

from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.errors import Refused

S = TypeVar("S", TaskState, RunPhase, QuestionState)

T = TaskState
TASK_TABLE: dict[tuple[TaskState, type[ev.Event]], TaskState] = {
    (T.QUEUED, ev.TaskUpdated): T.QUEUED,
    (T.QUEUED, ev.RunStarted): T.RUNNING,
    (T.QUEUED, ev.TaskCancelled): T.CANCELLED,
    (T.QUEUED, ev.TaskFailed): T.FAILED,
    (T.RUNNING, ev.TaskUpdated): T.RUNNING,
    (T.RUNNING, ev.QuestionAsked): T.WAITING,
    (T.RUNNING, ev.TaskChecking): T.CHECKING,
    (T.RUNNING, ev.TaskSucceeded): T.SUCCEEDED,
    (T.RUNNING, ev.TaskFailed): T.FAILED,
    (T.RUNNING, ev.TaskRequeued): T.QUEUED,
    (T.RUNNING, ev.TaskCancelled): T.CANCELLED,
    (T.WAITING, ev.TaskUpdated): T.WAITING,
    (T.WAITING, ev.QuestionAsked): T.WAITING,
    (T.WAITING, ev.QuestionAnswered): T.RUNNING,
    (T.WAITING, ev.QuestionWithdrawn): T.RUNNING,
    (T.WAITING, ev.TaskFailed): T.FAILED,
    (T.WAITING, ev.TaskRequeued): T.QUEUED,
    (T.WAITING, ev.TaskCancelled): T.CANCELLED,
    (T.CHECKING, ev.TaskUpdated): T.CHECKING,
    (T.CHECKING, ev.TaskSucceeded): T.SUCCEEDED,
    (T.CHECKING, ev.TaskFailed): T.FAILED,
    (T.CHECKING, ev.TaskRequeued): T.QUEUED,
    (T.CHECKING, ev.TaskCancelled): T.CANCELLED,
    (T.SUCCEEDED, ev.TaskUpdated): T.SUCCEEDED,
    (T.SUCCEEDED, ev.TaskApplied): T.SUCCEEDED,
    (T.SUCCEEDED, ev.TaskRequeued): T.QUEUED,
    (T.FAILED, ev.TaskUpdated): T.FAILED,
    (T.FAILED, ev.TaskApplied): T.FAILED,
    (T.FAILED, ev.TaskRequeued): T.QUEUED,
    (T.CANCELLED, ev.TaskUpdated): T.CANCELLED,
    (T.CANCELLED, ev.TaskApplied): T.CANCELLED,
    (T.CANCELLED, ev.TaskRequeued): T.QUEUED,
}

P = RunPhase
# A question makes its run wait, and its answer ends that, as far as the agent can do nothing meanwhile: see `fold.base.stand`.
RUN_TABLE: dict[tuple[RunPhase, type[ev.Event]], RunPhase] = {
    (P.STARTING, ev.RunInitialised): P.STREAMING,
    (P.STARTING, ev.RunStopping): P.STOPPING,
    (P.STARTING, ev.RunExited): P.EXITED,
    (P.STARTING, ev.QuestionAsked): P.WAITING,
    (P.STREAMING, ev.QuestionAsked): P.WAITING,
    (P.STREAMING, ev.QuestionAnswered): P.STREAMING,
    (P.STREAMING, ev.QuestionWithdrawn): P.STREAMING,
    (P.STREAMING, ev.RunStopping): P.STOPPING,
    (P.STREAMING, ev.RunExited): P.EXITED,
    (P.WAITING, ev.QuestionAsked): P.WAITING,
    (P.WAITING, ev.QuestionAnswered): P.STREAMING,
    (P.WAITING, ev.QuestionWithdrawn): P.STREAMING,
    (P.WAITING, ev.RunStopping): P.STOPPING,
    (P.WAITING, ev.RunExited): P.EXITED,
    # A hook may ask before the first turn is announced: a resumed conversation takes up its parked question at once.
    (P.WAITING, ev.RunInitialised): P.WAITING,
    (P.STREAMING, ev.RunInitialised): P.STREAMING,
    (P.STOPPING, ev.RunStopping): P.STOPPING,
    (P.STOPPING, ev.RunExited): P.EXITED,
    (P.STOPPING, ev.QuestionWithdrawn): P.STOPPING,
    (P.STOPPING, ev.QuestionAsked): P.STOPPING,
    (P.STOPPING, ev.QuestionAnswered): P.STOPPING,
    (P.STOPPING, ev.RunInitialised): P.STOPPING,
}

Q = QuestionState
QUESTION_TABLE: dict[tuple[QuestionState, type[ev.Event]], QuestionState] = {
    (Q.OPEN, ev.QuestionAnswered): Q.ANSWERED,
    (Q.OPEN, ev.QuestionWithdrawn): Q.WITHDRAWN,
    (Q.ANSWERED, ev.AnswerDelivered): Q.DELIVERED,
    (Q.ANSWERED, ev.QuestionWithdrawn): Q.WITHDRAWN,
    # The run died with the answer in its hands.
    (Q.DELIVERED, ev.QuestionWithdrawn): Q.WITHDRAWN,
}


class IllegalTransition(Refused):
    """
    A fact that cannot follow what is already known.
    """


def step(table: dict[tuple[S, type[ev.Event]], S], current: S, event: ev.Event, what: str) -> S:
    """
    The state after *event*; *what* names the subject in the error.

    Raises `IllegalTransition` when the table has no such pair.
    """
    try:
        return table[current, type(event)]
    except KeyError:
        raise IllegalTransition(f"{what} is {current}: {event.name} cannot follow") from None
