"""
Tasks, and where they stand.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Outcome, Task, TaskState


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """
    One act that the person allows a task, as `domain.events.TaskAllowed` has it; *at* is wall seconds.
    """

    act: str
    tool: str
    target: str
    by: str
    at: float


class TaskRow(msgspec.Struct, frozen=True, kw_only=True, tag="task"):
    """
    One task and where it stands.
    """

    spec: Task
    state: TaskState
    submitted_at: float
    changed_at: float
    outcome: Outcome | None = None
    reason: str = ""
    """Why it failed or waits for another run; empty otherwise."""
    held: str = ""
    """Why no other run begins until the person asks for it; empty otherwise."""
    attempts: int = 0
    failures: int = 0
    """Failed runs since the person last asked for the task: what the retry limit counts."""
    fresh_starts: int = 0
    """Conversations set aside since the person last asked for the task."""
    setbacks: int = 0
    """Runs lost since then through no fault of the task."""
    refusals: int = 0
    """How often in a row since then the service failed it while it answered others."""
    parked_at: float | None = None
    """When its last run ended by what all agents run into; None when it ended otherwise."""
    stalls: int = 0
    """How often since then its agent was found to hang, and was taken up again."""
    run: str | None = None
    """Full name of the newest run."""
    not_before: float = 0.0
    session: str | None = None
    """Conversation that the next run resumes."""
    questions: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    applied_at: float | None = None
    warned_at: int | None = None
    """The own limit (nano-USD) under which the warning was given."""
    stopped_at: int | None = None
    """The own limit (nano-USD) that was reached; a higher one lets it go on."""
    raised: int = 0
    """Nano-USD that the person gave it beyond what its file names."""
    asked: str | None = None
    """The open question what to do about its limit."""
    allowed: dict[str, Allowance] = {}
    """What the person allows it beyond the rules, by the name of the violation or question that it was."""

    @property
    def limit(self) -> int | None:
        """
        Its own limit in nano-USD: what its file names, and what the person added; None when it has none.
        """
        return None if self.spec.max_cost is None else self.spec.max_cost + self.raised

    @property
    def stopped(self) -> bool:
        """
        True when its own limit, or a higher one, was reached before.
        """
        return self.stopped_at is not None and self.limit is not None and self.limit <= self.stopped_at

    @property
    def key(self) -> str:
        return self.spec.key

    def allows(self, act: str) -> bool:
        """
        True when the person allows it the act with this mark.
        """
        return any(allowance.act == act for allowance in self.allowed.values())

    def warned(self, limit: int) -> bool:
        """
        True when the person was warned of its own *limit* (nano-USD) or a higher one.
        """
        return self.warned_at is not None and limit <= self.warned_at
