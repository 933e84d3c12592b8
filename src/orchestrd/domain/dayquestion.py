"""
What the person is asked once a day's limit is reached, and what their answer does.
"""

from __future__ import annotations

from orchestrd.domain import ceiling
from orchestrd.domain import events as ev
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import TaskState
from orchestrd.domain.money import dollars, more
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
    # Short of it, the rest is kept for summaries, or is not enough for another task.
    used = "used up" if spent >= limit else "all but used up"
    parts = [f"The limit of {dollars(limit)} for {day.day} is {used}: {dollars(spent)} are spent."]
    if begun:
        parts.append(f"Stopped, to be gone on with: {', '.join(task.spec.id for task in begun)}.")
    if rest:
        parts.append(f"Not begun: {', '.join(task.spec.id for task in rest)}.")
    options = [ev.QuestionOption(label=f"+{dollars(limits.step)}", description="everything goes on")]
    if begun:
        left = max(0, limit - spent)
        at_most = f"at most {dollars(left + _to_finish(state, limits, begun))} more; nothing else begins"
        options.append(ev.QuestionOption(label=FINISH, description=at_most))
    options.append(ev.QuestionOption(label=STOP, description="nothing more is started"))
    return ev.QuestionAsked(
        question=f"{day.day}/{ABOUT_DAY}#{day.questions + 1}",
        run="",
        text=" ".join([*parts, "Another sum is as good an answer: +12.50."]),
        header="The day's limit",
        options=tuple(options),
    )


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
    if said.casefold() == FINISH.casefold() and any(option.label == FINISH for option in question.options):
        begun, _ = _unfinished(state, day)
        amount = over + _to_finish(state, limits, begun)
        return [ev.LimitRaised(day=day, amount=amount, begun_only=True, by=by), done]
    if (amount_more := more(said)) is None or not amount_more:
        offered = "; ".join(option.label for option in question.options)
        raise RequestError(f"{answer!r} is no answer to that", hint=f"Say one of: {offered}; or a sum, such as +12.50.")
    return [ev.LimitRaised(day=day, amount=over + amount_more, by=by), done]


def _unfinished(state: State, day: str) -> tuple[list[TaskRow], list[TaskRow]]:
    """
    The tasks that have begun and can be gone on with, and those that have not begun.
    """
    begun = [task for task in ceiling.wanting(state, day) if task.attempts]
    return begun, [task for task in state.tasks(day) if not task.attempts and task.state is TaskState.QUEUED]


def _to_finish(state: State, limits: Limits, begun: list[TaskRow]) -> int:
    """
    Nano-USD that the tasks that had *begun* may still need; more than none when there are any.
    """
    return sum(_need(state, limits, task) for task in begun)


def _need(state: State, limits: Limits, task: TaskRow) -> int:
    """
    Nano-USD that *task*, which had begun, may still need: what such tasks are expected to cost, or as much again as it did cost
    where nothing is kept for them; at least two responses, below which it would be stopped at once.
    """
    runs = state.runs(task=task.key)
    least = 2 * runs[-1].response_cost if runs else 0
    usual = ceiling.expected(state, task, limits) or max(state.task_cost(task.key), limits.step // limits.slots, 1)
    need = max(usual, least)
    own = ceiling.own_left(state, task)
    return need if own is None else min(need, own)
