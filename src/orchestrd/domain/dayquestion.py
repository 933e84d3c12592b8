"""
What the person is asked once a day's limit is reached, and what their answer does.
"""

from __future__ import annotations

from orchestrd.domain import ceiling
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import TaskState
from orchestrd.domain.money import CENT, dollars, more
from orchestrd.domain.rows import ABOUT_DAY, DayRow, QuestionRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import RequestError

FINISH = "Finish what was begun"
STOP = "Stop for today"


def ask(state: State, limits: Limits, day: DayRow) -> ev.QuestionAsked:
    """
    The question whether *day* goes on.
    """
    limit, spent = limits.of_day(day), state.spent(day.day)
    begun, rest = _unfinished(state, day.day)
    parts = [f"The limit of {dollars(limit)} for {day.day} is {limits.used(limit, spent)}: {dollars(spent)} are spent."]
    if begun:
        parts.append(f"Stopped, to be gone on with: {', '.join(task.spec.id for task in begun)}.")
    if rest:
        parts.append(f"Not begun: {', '.join(task.spec.id for task in rest)}.")
    options = [ev.QuestionOption(label=f"+{dollars(limits.step)}", description="everything goes on")]
    # In whole cents, so that what is given is what is said.
    at_most = _cents(max(limit, spent) - spent + sum(_need(state, limits, task) for task in begun))
    if begun:
        description = f"at most {dollars(at_most)} more; nothing else begins"
        options.append(ev.QuestionOption(label=FINISH, description=description))
    options.append(ev.QuestionOption(label=STOP, description="nothing more is started"))
    return ev.QuestionAsked(
        question=f"{day.day}/{ABOUT_DAY}#{day.questions + 1}",
        run="",
        text=" ".join([*parts, "Another sum is as good an answer: +12.50."]),
        header="The day's limit",
        options=tuple(options),
        begun=tuple(task.key for task in begun),
        enough=spent + at_most if begun else None,
    )


def outdated(state: State, question: QuestionRow) -> str:
    """
    Why *question* is to be asked anew, since what it offers to those that had begun is not true any more; empty while it is.

    That some of them have ended meanwhile does not make it untrue: it names the most.
    """
    day = question.task.partition("/")[0]
    begun, _ = _unfinished(state, day)
    if any(task.key not in question.begun for task in begun):
        return "more is to be finished now"
    # While agents are at work nothing is settled; they may end for less.
    least = sum(_least(state, task) for task in begun)
    if begun and not state.live(day) and (question.enough is None or question.enough - state.spent(day) < least):
        return "it needs more by now"
    return ""


def follow(state: State, limits: Limits, question: QuestionRow, answer: str, by: str) -> list[ev.AnyEvent]:
    """
    What *answer* to *question* does.

    Raises `RequestError` for an answer that says neither of the options nor a sum.
    """
    day = question.task.partition("/")[0]
    row, said = state.day(day), answer.strip()
    limit, spent = limits.of_day(row), state.spent(day)
    over = max(0, spent - limit)
    done = ev.AnswerDelivered(question=question.id)
    if said.casefold() == STOP.casefold():
        return [ev.DayClosed(day=day, limit=limit, by=by), done]
    if said.casefold() == FINISH.casefold() and question.enough is not None:
        # What they were told, whatever has changed since.
        amount = question.enough - limit
        return [ev.LimitRaised(day=day, amount=amount, begun_only=True, by=by), done]
    if (amount_more := more(said)) is None or not amount_more:
        offered = "; ".join(option.label for option in question.options)
        raise RequestError(f"{answer!r} is no answer to that", hint=f"Say one of: {offered}; or a sum, such as +12.50.")
    return [ev.LimitRaised(day=day, amount=over + amount_more, by=by), done]


def _cents(nano: int) -> int:
    """
    *nano* nano-USD, rounded up to whole cents.
    """
    return -(-nano // CENT) * CENT


def _unfinished(state: State, day: str) -> tuple[list[TaskRow], list[TaskRow]]:
    """
    The tasks that have begun and can be gone on with, and those that have not begun.
    """
    begun = [task for task in ceiling.wanting(state, day) if task.attempts]
    return begun, [task for task in state.tasks(day) if not task.attempts and task.state is TaskState.QUEUED]


def _need(state: State, limits: Limits, task: TaskRow) -> int:
    """
    Nano-USD that *task*, which had begun, may still need, beside what is under way.  What such tasks are expected to cost says
    nothing of one that has cost as much already: it gets as much again, or what is kept for its complexity where that is more.
    """
    spent, runs = state.task_cost(task.key), state.runs(task=task.key)
    need = ceiling.expected(state, task, limits)
    if spent >= need:
        need = (
            max(need, spent, limits.reserve[task.spec.complexity]) if need else max(spent, limits.step // limits.slots)
        )
    # One at work spends on until it is ended, a summary included.
    on_the_way = _least(state, task) if runs and runs[-1].open else 0
    need = max(need, _least(state, task), 1) + on_the_way
    own = ceiling.own_left(state, task)
    return need if own is None else min(need, own)


def _least(state: State, task: TaskRow) -> int:
    """
    Nano-USD below which *task* would be stopped at once: two responses like its last, or what its own limit leaves.
    """
    least, own = 2 * ceiling.next_response(state, task), ceiling.own_left(state, task)
    return least if own is None else min(least, own)
