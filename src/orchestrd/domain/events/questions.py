"""
Facts about questions.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events.base import QuestionEvent


class QuestionOption(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer the agent offers.
    """

    label: str
    description: str = ""


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """
    The tool call for which leave is asked: its id, the *tool*, the *rule* and *reason* for asking, what it is about, and its mark
    (`policy.acts`).
    """

    call: str
    tool: str
    rule: str
    reason: str
    target: str
    act: str


class QuestionAsked(QuestionEvent, frozen=True, kw_only=True, tag="question.asked"):
    """
    A decision is needed that only the person may take.

    *request* is the control channel's request id, or None when the question came as a file.  *run* is empty when it is the
    daemon that asks: about a whole day, a task's own limit or the account.  Of a day *begun* are the tasks that it offers to finish, and *enough* the nano-USD that
    the day costs in all at most once they are; None where it offers no such thing.  *permit*: no agent asks, but the rules, before
    this call of it.
    """

    run: str
    text: str
    header: str = ""
    options: tuple[QuestionOption, ...] = ()
    multi: bool = False
    request: str | None = None
    begun: tuple[str, ...] = ()
    enough: int | None = None
    permit: Permit | None = None


class QuestionAnswered(QuestionEvent, frozen=True, kw_only=True, tag="question.answered"):
    """
    The first answer; *by* is the channel it came on: cli, file, telegram, dashboard.
    """

    answer: str
    by: str


class AnswerDelivered(QuestionEvent, frozen=True, kw_only=True, tag="question.delivered"):
    """
    The answer is in the agent's hands.
    """


class QuestionWithdrawn(QuestionEvent, frozen=True, kw_only=True, tag="question.withdrawn"):
    """
    This run makes no use of an answer any more: it ended before it went on with one, or the agent took the question back.
    """

    reason: str = ""
