"""
Questions and their answers.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol.api.base import Params, Write


class QuestionList(Params, kw_only=True):
    """
    Open questions of *day*, or of every day; *all* includes answered ones.
    """

    day: str | None = None
    all: bool = False


class Option(msgspec.Struct, kw_only=True):
    """
    An answer the agent offers; *key* is A, B, C …
    """

    key: str
    label: str
    description: str = ""


class Question(msgspec.Struct, kw_only=True):
    """
    A question and what became of it: *state* is open, answered, delivered or withdrawn; *note* says of an answer's file why
    it is not taken, or where it was kept aside because it came too late.
    """

    id: str
    task: str
    asked_at: str
    text: str
    options: list[Option] = []
    state: str = "open"
    answered_by: str | None = None
    answer: str | None = None
    waited_seconds: float = 0.0
    multi: bool = False
    task_name: str = ""
    note: str = ""


class AnswerQuestion(Write, kw_only=True):
    """
    Answer the oldest open question of *task*, or *question* by id; with *text*, or with option letters or labels
    (*options*); both together add the text to the choice.
    """

    task: str
    text: str = ""
    options: list[str] = []
    question: str | None = None
    by: str = "cli"
