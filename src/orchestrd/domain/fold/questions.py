"""
What facts about a question change, and about the task and the run that wait for it.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, clock, known_run, known_task, move_run, move_task
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import ABOUT_ACCOUNT, QuestionRow, QuestionState, Row, RunPhase
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
    )
    if row.of_daemon:
        return [row, *_asks(state, row, row.id)]
    run = known_run(state, e.run)
    task = known_task(state, run.task)
    stands = clock(run, at, waits=run.phase is not RunPhase.STOPPING, frozen=state.home().frozen)
    moved = move_task(task, e, at, questions=max(task.questions, row.number)) if task.state.alive else task
    return [row, move_run(run, e, **stands), moved]


def _question_answered(state: State, e: ev.QuestionAnswered, at: float) -> list[Row]:
    question = _question_step(state, e, answer=e.answer, answered_by=e.by, answered_at=at)
    return [question, *_stop_waiting(state, question, e, at)]


def _question_withdrawn(state: State, e: ev.QuestionWithdrawn, at: float) -> list[Row]:
    known = state.question(e.question)
    was_open = known is not None and known.state is QuestionState.OPEN
    question = _question_step(state, e, closed_at=at)
    return [question, *(_stop_waiting(state, question, e, at) if was_open else [])]


def _answer_delivered(state: State, e: ev.AnswerDelivered, at: float) -> list[Row]:
    return [_question_step(state, e, delivered_at=at)]


def _question_step(state: State, e: ev.QuestionEvent, **changes: object) -> QuestionRow:
    row = state.question(e.question)
    if row is None:
        raise IllegalTransition(f"question {e.question} is not known")
    new = step(QUESTION_TABLE, row.state, e, f"question {row.id}")
    return replace(row, state=new, **changes)


def _stop_waiting(state: State, question: QuestionRow, e: ev.Event, at: float) -> list[Row]:
    """
    The run and task rows once no other question of the run is open.
    """
    if question.of_daemon:
        return _asks(state, question, None)
    if any(q.state is QuestionState.OPEN and q.id != question.id for q in state.questions(run=question.run)):
        return []
    run, task = known_run(state, question.run), known_task(state, question.task)
    rows: list[Row] = []
    if run.open:
        rows.append(move_run(run, e, **clock(run, at, waits=False, frozen=state.home().frozen)))
    if task.state is TaskState.WAITING and task.run == run.key:
        rows.append(move_task(task, e, at))
    return rows


def _asks(state: State, question: QuestionRow, asked: str | None) -> list[Row]:
    """
    The row of what the daemon's *question* is about, once that is *asked* or nothing is any more.
    """
    day, _, about = question.task.partition("/")
    row = state.home() if about == ABOUT_ACCOUNT else state.day(day)
    return [replace(row, asked=asked, questions=max(row.questions, question.number))] if row is not None else []


FOLDS: Folds = {
    ev.QuestionAsked: _question_asked,
    ev.QuestionAnswered: _question_answered,
    ev.QuestionWithdrawn: _question_withdrawn,
    ev.AnswerDelivered: _answer_delivered,
}
