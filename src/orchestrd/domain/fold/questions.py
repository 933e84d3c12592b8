"""
What facts about a question change, and about the task and the run that wait for it.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, go_on, known_run, known_task, move_run, move_task, stand
from orchestrd.domain.rows import ABOUT_ACCOUNT, QuestionRow, QuestionState, Row, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.transitions import QUESTION_TABLE, IllegalTransition, step


def _question_asked(state: State, e: ev.QuestionAsked, at: float) -> list[Row]:
    if state.question(e.question) is not None:
        raise IllegalTransition(f"question {e.question} was asked before")
    row = QuestionRow(
        id=e.question,
        task=e.question.rpartition("#")[0],
        run=e.run,
        text=e.text,
        asked_at=at,
        header=e.header,
        options=e.options,
        multi=e.multi,
        request=e.request,
        begun=e.begun,
        enough=e.enough,
        permit=e.permit,
    )
    if row.of_daemon:
        return [row, *_asks(state, row, row.id)]
    run = known_run(state, e.run)
    task = known_task(state, run.task)
    number = max(task.questions, row.number)
    # Whatever the task is at: no other question may have the same name.
    moved = move_task(task, e, at, questions=number) if task.state.alive else replace(task, questions=number)
    return [row, *_stand(state, row, move_run(run, e), moved, at)]


def _question_answered(state: State, e: ev.QuestionAnswered, at: float) -> list[Row]:
    question = _question_step(state, e, answer=e.answer, answered_by=e.by, answered_at=at)
    return [question, *_stop_waiting(state, question, e, at)]


def _question_withdrawn(state: State, e: ev.QuestionWithdrawn, at: float) -> list[Row]:
    known = state.question(e.question)
    was_open = known is not None and known.state is QuestionState.OPEN
    question = _question_step(state, e, closed_at=at)
    return [question, *(_stop_waiting(state, question, e, at) if was_open else [])]


def _answer_delivered(state: State, e: ev.AnswerDelivered, at: float) -> list[Row]:
    question = _question_step(state, e, delivered_at=at)
    run = None if question.of_daemon else state.run(question.run)
    # To what was asked by file the answer is a message, and begins a turn.
    return [question, *(go_on(state, run, at) if run is not None and run.open and run.rests else [])]


def _question_step(state: State, e: ev.QuestionEvent, **changes: object) -> QuestionRow:
    row = state.question(e.question)
    if row is None:
        raise IllegalTransition(f"question {e.question} is not known")
    new = step(QUESTION_TABLE, row.state, e, f"question {row.id}")
    return replace(row, state=new, **changes)


def _stop_waiting(state: State, question: QuestionRow, e: ev.Event, at: float) -> list[Row]:
    """
    The run and task rows once *question* is not open any more.
    """
    if question.of_daemon:
        return _asks(state, question, None)
    run, task = known_run(state, question.run), known_task(state, question.task)
    if run.open:
        run = move_run(run, e)
    return _stand(state, question, run, task, at)


def _stand(state: State, question: QuestionRow, run: RunRow, task: TaskRow, at: float) -> list[Row]:
    """
    The rows of *run* and *task* as they stand with *question* as it is now.
    """
    others = [other for other in state.questions(run=question.run) if other.id != question.id]
    stood: tuple[Row, ...] = stand(run, task, [question, *others], at, frozen=state.home().frozen)
    return [new for new, known in zip(stood, (state.run(run.key), state.task(task.key)), strict=True) if new != known]


def _asks(state: State, question: QuestionRow, asked: str | None) -> list[Row]:
    """
    The row of what the daemon's *question* is about, once that is *asked* or nothing is any more.
    """
    day, _, about = question.task.partition("/")
    if question.about_task:
        task = known_task(state, question.task)
        return [replace(task, asked=asked, questions=max(task.questions, question.number))]
    row = state.home() if about == ABOUT_ACCOUNT else state.day(day)
    return [replace(row, asked=asked, questions=max(row.questions, question.number))] if row is not None else []


FOLDS: Folds = {
    ev.QuestionAsked: _question_asked,
    ev.QuestionAnswered: _question_answered,
    ev.QuestionWithdrawn: _question_withdrawn,
    ev.AnswerDelivered: _answer_delivered,
}
