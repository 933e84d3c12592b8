"""
What a person says in answer to a question.
"""

import pytest

from factories import make_question
from orchestrd.domain.answers import closed, compose
from orchestrd.domain.events import QuestionOption
from orchestrd.domain.questionfiles import write_question
from orchestrd.domain.rows import QuestionState
from orchestrd.errors import RequestError

OPTIONS = (QuestionOption(label="SQLite"), QuestionOption(label="Postgres"))


@pytest.mark.parametrize(
    ("text", "options", "answer"),
    [
        ("", ["A"], "SQLite"),
        ("", ["postgres"], "Postgres"),
        ("", ["2"], "Postgres"),
        ("b", [], "Postgres"),
        ("b)", [], "Postgres"),
        ("because it is small", ["A"], "SQLite\n\nbecause it is small"),
        ("Neither: use files", [], "Neither: use files"),
        ("", ["A", "sqlite"], "SQLite, SQLite"),
    ],
)
def test_options_and_words(text, options, answer):
    assert compose(make_question(options=OPTIONS), text, options) == answer


def test_a_letter_is_only_text_where_nothing_is_offered():
    assert compose(make_question(options=()), "b", []) == "b"


def test_one_option_unless_several_may_be_chosen():
    with pytest.raises(RequestError, match="takes one option, not 2"):
        compose(make_question(options=OPTIONS), "", ["A", "B"])
    assert compose(make_question(options=OPTIONS, multi=True), "", ["A", "B"]) == "SQLite, Postgres"


@pytest.mark.parametrize(("text", "options"), [("", []), ("  \n", []), ("", ["C"]), ("x", ["Oracle"])])
def test_what_is_no_answer(text, options):
    with pytest.raises(RequestError):
        compose(make_question(options=OPTIONS), text, options)


def test_a_closed_question_says_who_answered_what():
    answered = make_question(state=QuestionState.ANSWERED, answer="SQLite", answered_by="file")
    assert closed(answered).endswith("was answered before by file: SQLite")
    withdrawn = make_question(state=QuestionState.WITHDRAWN)
    assert "withdrawn" in closed(withdrawn)


def test_a_later_question_names_its_number_in_the_command():
    text = write_question(task="2026-11-22/t", number=2, text="Which?", options=(), answer_file="t-2-answer.md")
    assert 'orchctl answer t --question 2 "…"' in text
