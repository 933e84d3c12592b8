"""
What a run that goes on with a conversation is told of questions: each lost answer once, in the run after.
"""

from __future__ import annotations

import pytest

from factories import make_question, make_run, make_task_row
from orchestrd.domain.instructions import Places
from orchestrd.domain.rows import QuestionState, RunPhase
from orchestrd.domain.state import State
from orchestrd.services.preparation import _resume_message

PLACES = Places(tree="/t", workspace="/w", question_file="/q.md", scratch="/s")
TASK = "2026-11-22/task-001"


def note(*models: str | None, state: QuestionState = QuestionState.WITHDRAWN, answer: str | None = "SQLite") -> str:
    """
    What the run after these is told; each began its turn when it has a model, and the first had asked.
    """
    rows = State()
    task = make_task_row()
    rows.put(task)
    for number, model in enumerate(models, 1):
        rows.put(make_run(f"{TASK}/{number}", phase=RunPhase.EXITED, model=model))
    rows.put(make_question(f"{TASK}#1", run=f"{TASK}/1", state=state, answer=answer))
    run = make_run(f"{TASK}/{len(models) + 1}", resumes=True)
    rows.put(run)
    return _resume_message(rows, task, run, PLACES)


@pytest.mark.parametrize(
    ("models", "told"),
    [(("m",), True), (("m", None), True), (("m", None, None), True), (("m", "m"), False), (("m", None, "m"), False)],
)
def test_an_answer_that_was_lost_is_told_until_a_run_was_there_to_hear_it(models, told):
    assert ("The answer: SQLite" in note(*models)) is told


def test_an_answer_that_was_used_is_not_told_again():
    assert "SQLite" not in note("m", state=QuestionState.DELIVERED)


def test_a_question_that_nobody_answered_is_told_by_the_next_run_alone():
    assert "It was not answered yet" in note("m", answer=None)
    assert "It was not answered yet" not in note("m", None, answer=None)
