"""
What the person is asked once a task's own limit is reached, and what their answer does.
"""

from __future__ import annotations

from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Outcome, TaskState
from orchestrd.domain.money import dollars, more
from orchestrd.domain.rows import QuestionRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import RequestError

LEAVE = "Leave it as it is"


def ask(state: State, limits: Limits, task: TaskRow) -> ev.QuestionAsked:
    """
    The question whether *task* goes on.
    """
    limit, spent = task.limit or 0, state.task_cost(task.key)
    text = f"The own limit of {dollars(limit)} of {task.spec.id} is {limits.used(limit, spent)}: {dollars(spent)} are spent."
    return ev.QuestionAsked(
        question=f"{task.key}#{task.questions + 1}",
        run="",
        text=f"{text} It waits with its conversation. Another sum is as good an answer: +12.50.",
        header="The task's own limit",
        options=(
            ev.QuestionOption(label=f"+{dollars(limits.step)}", description="for this task; it goes on where it stood"),
            ev.QuestionOption(label=LEAVE, description="it ends; what it did is kept"),
        ),
    )


def follow(state: State, question: QuestionRow, answer: str, by: str) -> list[ev.AnyEvent]:
    """
    What *answer* to *question* does.

    Raises `RequestError` for an answer that says neither of the options nor a sum.
    """
    task, said = state.task(question.task), answer.strip()
    if task is None:
        raise RequestError(f"{question.task} is not known any more")
    limit, spent = task.limit or 0, state.task_cost(task.key)
    done = ev.AnswerDelivered(question=question.id)
    if said.casefold() == LEAVE.casefold():
        reason = f"left at its own limit of {dollars(limit)}, as you said ({dollars(spent)} spent)"
        if task.state is TaskState.QUEUED:
            return [ev.TaskFailed(task=task.key, outcome=Outcome.OVER_BUDGET, reason=reason), done]
        # Its agent is being ended yet.
        return [ev.TaskHeld(task=task.key, reason=reason), done]
    if not (amount := more(said)):
        offered = "; ".join(option.label for option in question.options)
        raise RequestError(f"{answer!r} is no answer to that", hint=f"Say one of: {offered}; or a sum, such as +12.50.")
    return [ev.TaskLimitRaised(task=task.key, amount=max(0, spent - limit) + amount, by=by), done]
