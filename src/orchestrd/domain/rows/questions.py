"""
Questions: an agent's, or the daemon's own.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from orchestrd.domain.events import Permit, QuestionOption

ABOUT_DAY = "_day"
ABOUT_ACCOUNT = "_account"
"""What stands in the place of a task's id in the names of the daemon's own questions; no task can be called so."""


class QuestionState(StrEnum):
    """
    Open until the first answer; delivered once the agent has it; withdrawn when the agent took it back, or ended before
    it went on with the answer.
    """

    OPEN = "open"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    WITHDRAWN = "withdrawn"


class QuestionRow(msgspec.Struct, frozen=True, kw_only=True, tag="question"):
    """
    One question.  *id* is ``2026-11-22/task-001#1``; of the daemon's own, about a day, ``2026-11-22/_day#1``, with the
    task ``2026-11-22/_day`` and no run; about the account, ``2026-11-22/_account#1``; about a task's own limit like one of its
    agent, and no run.
    """

    id: str
    task: str
    run: str
    text: str
    asked_at: float
    state: QuestionState = QuestionState.OPEN
    header: str = ""
    options: tuple[QuestionOption, ...] = ()
    multi: bool = False
    request: str | None = None
    begun: tuple[str, ...] = ()
    """Of the daemon's about a day: full names of the tasks that it offers to finish."""
    enough: int | None = None
    """Nano-USD that the day costs in all, at most, once they are."""
    permit: Permit | None = None
    """The tool call for which the rules ask leave; None where an agent or the daemon asks."""
    answer: str | None = None
    answered_by: str | None = None
    answered_at: float | None = None
    delivered_at: float | None = None
    closed_at: float | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def number(self) -> int:
        """
        The question's number within its task, from 1: it names the question's file.
        """
        return int(self.id.rpartition("#")[2])

    @property
    def of_daemon(self) -> bool:
        """
        True when no agent asks, but the daemon, about a day or the account.
        """
        return not self.run

    @property
    def about_task(self) -> bool:
        """
        True when the daemon asks it about a task's own limit.
        """
        return self.of_daemon and not self.task.partition("/")[2].startswith("_")

    @property
    def about_account(self) -> bool:
        """
        True when the daemon asks it about the account.
        """
        return self.of_daemon and self.task.endswith(f"/{ABOUT_ACCOUNT}")

    def waited(self, now: float) -> float:
        """
        Seconds from asking to the answer, the withdrawal, or *now*.
        """
        return max(0.0, (self.answered_at or self.closed_at or now) - self.asked_at)
