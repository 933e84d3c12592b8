"""
What the facts add up to: one row for the home, each day, task, run, question and violation.

Rows are frozen; ``domain.state.fold`` makes new ones and the journal stores each beside the facts that made it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from orchestrd.domain.events import CheckResult, DeliverableFound, FileChange, QuestionOption
from orchestrd.domain.model import Cause, Outcome, Task, TaskState, Usage


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why the service does not serve the account, since when, and until when (wall seconds; None: until the person has it tried
    again).  It is the *failures*-th time in a row.
    """

    cause: Cause
    reason: str
    since: float
    until: float | None = None
    failures: int = 1


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """
    A subscription's usage window as the service told of it *at* a wall time: *utilization* is a fraction, or None.
    """

    status: str
    at: float
    utilization: float | None = None
    resets_at: float | None = None


class HomeRow(msgspec.Struct, frozen=True, kw_only=True, tag="home"):
    """
    The home itself; there is one.
    """

    frozen_since: float | None = None
    """Since when everything stands still, or None."""
    frozen_by: str = ""
    block: Block | None = None
    """Why no agent can work, or None."""
    blocks: int = 0
    """How often that came up; a run that tries whether it is over bears the number."""
    failures: int = 0
    """How often in a row it had, when it was last over."""
    recovered_at: float | None = None
    """When it was last over."""
    left_alone: float = 0.0
    """For how many seconds the service was left alone before that, the last time."""
    questions: int = 0
    """How often the person was asked about it."""
    asked: str | None = None
    """The one of these questions that is open."""
    windows: dict[str, Window] = {}
    """Kind of usage window (five_hour …) to what was last told of it."""

    @property
    def key(self) -> str:
        return "home"

    @property
    def frozen(self) -> bool:
        """
        True while everything stands still.
        """
        return self.frozen_since is not None


class DayRow(msgspec.Struct, frozen=True, kw_only=True, tag="day"):
    """
    One day.  *limit* is nano-USD from the task file, or None for the configured one.
    """

    day: str
    source: str
    submitted_at: float
    limit: int | None = None
    warned_at: int | None = None
    """The limit (nano-USD) under which the warning was given."""
    stopped_at: int | None = None
    """The limit (nano-USD) that was reached; a higher one opens the day again."""
    raised: int = 0
    """Nano-USD that the person gave beyond that limit."""
    begun_only: bool = False
    """True when that is for tasks that had begun, and no others."""
    questions: int = 0
    """How often the daemon asked what to do about the day."""
    asked: str | None = None
    """The one of these questions that is open."""
    closed: bool = False
    """True when the person wants nothing more to start under the limit that was reached."""

    @property
    def key(self) -> str:
        return self.day

    def warned(self, limit: int) -> bool:
        """
        True when the person was warned of *limit* (nano-USD) or a higher one.
        """
        return self.warned_at is not None and limit <= self.warned_at

    def stopped(self, limit: int) -> bool:
        """
        True when *limit* (nano-USD) or a higher one was reached before.
        """
        return self.stopped_at is not None and limit <= self.stopped_at


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
    run: str | None = None
    """Full name of the newest run."""
    not_before: float = 0.0
    session: str | None = None
    """Conversation that the next run resumes."""
    questions: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    applied_at: float | None = None

    @property
    def key(self) -> str:
        return self.spec.key


class RunPhase(StrEnum):
    """
    Where a run stands: a run is *open* from the decision to start it until its exit is recorded.
    """

    STARTING = "starting"
    STREAMING = "streaming"
    WAITING = "waiting"
    STOPPING = "stopping"
    EXITED = "exited"


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens and nano-USD.
    """

    usage: Usage = Usage()
    cost: int = 0

    def plus(self, usage: Usage, cost: int) -> Spend:
        """
        This and one more.
        """
        return Spend(usage=self.usage + usage, cost=self.cost + cost)


class RunRow(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """
    One attempt at a task.
    """

    key: str
    task: str
    attempt: int
    session: str
    resumes: bool
    tree: str
    phase: RunPhase
    started_at: float
    reserved: int = 0
    """Nano-USD of the day's limit that are kept for it."""
    block: int = 0
    """Which of the account's troubles it was started to try whether it is over; 0 for none."""
    base: str = ""
    """Commit the agent started from; empty until the tree is ready."""
    ended_at: float | None = None
    waited: float = 0.0
    """Seconds spent waiting for answers, closed intervals only."""
    waiting_since: float | None = None
    frozen: float = 0.0
    """Seconds for which the home was frozen and the run did not wait besides, closed intervals only."""
    frozen_since: float | None = None
    stopping: Outcome | None = None
    stopping_reason: str = ""
    stopping_cause: Cause | None = None
    cancelled: bool = False
    curtailed: str = ""
    """Why a tool call was denied for want of money; empty when none was."""
    curtailed_cause: Cause | None = None
    outcome: Outcome | None = None
    cause: Cause | None = None
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    model: str | None = None
    cli_version: str | None = None
    settled: dict[str, Spend] = {}
    """Model to what the CLI's results have accounted for."""
    unsettled: dict[str, Spend] = {}
    """Model to readings since the last result."""
    response: str = ""
    """Id of the newest response that was read."""
    response_cost: int = 0
    """Nano-USD that it cost so far: about what the next one will."""
    drift: int = 0
    """Nano-USD by which the CLI's accounts exceed our own readings, summed over results."""
    tool_calls: int = 0
    tool_errors: int = 0
    turns_ended: int = 0
    is_error: bool | None = None
    terminal_reason: str | None = None
    last_text: str = ""
    retries: int = 0
    damaged: int = 0
    cut: bool = False
    """True once its output was shorter than what had been read of it."""
    violations: int = 0
    result: str | None = None
    files: tuple[FileChange, ...] = ()
    """The first of the changed paths."""
    file_count: int = 0
    left_out: tuple[str, ...] = ()
    """The first paths that were too large to be kept."""
    deliverables: tuple[DeliverableFound, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    summary: str = ""
    leftovers: int = 0
    interrupted: tuple[str, ...] = ()
    quarantined: bool = False
    work: float | None = None
    """Seconds that daemons saw the agent work, told by its end."""

    @property
    def open(self) -> bool:
        """
        True until the run's exit is recorded.
        """
        return self.phase is not RunPhase.EXITED

    @property
    def stands_still(self) -> bool:
        """
        True while the run's clock stands: it waits for a person, or the home is frozen.
        """
        return self.waiting_since is not None or self.frozen_since is not None

    @property
    def cost(self) -> int:
        """
        Nano-USD, settled and not.
        """
        return sum(s.cost for s in self.settled.values()) + sum(s.cost for s in self.unsettled.values())

    @property
    def usage(self) -> Usage:
        """
        Tokens of all models, settled and not.
        """
        total = Usage()
        for spend in (*self.settled.values(), *self.unsettled.values()):
            total += spend.usage
        return total

    @property
    def by_model(self) -> dict[str, Spend]:
        """
        Model to its spend, settled and not.
        """
        merged = dict(self.settled)
        for model, spend in self.unsettled.items():
            merged[model] = merged.get(model, Spend()).plus(spend.usage, spend.cost)
        return merged

    def worked(self, now: float) -> float:
        """
        Seconds that daemons saw the agent work; where that is not known those from start to end (or *now*) without the time
        spent waiting for a person or frozen.
        """
        if self.work is not None:
            return self.work
        end = self.ended_at if self.ended_at is not None else now
        # At most one of the two is open: see `fold`.
        still = self.waiting_since if self.waiting_since is not None else self.frozen_since
        standing = end - still if still is not None else 0.0
        return max(0.0, end - self.started_at - self.waited - self.frozen - standing)


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
    task ``2026-11-22/_day`` and no run; about the account, ``2026-11-22/_account#1``.
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


class ViolationRow(msgspec.Struct, frozen=True, kw_only=True, tag="violation"):
    """
    One forbidden act that was tried and denied.
    """

    key: str
    run: str
    at: float
    tool: str
    rule: str
    target: str
    reason: str


Row = HomeRow | DayRow | TaskRow | RunRow | QuestionRow | ViolationRow
