"""
Runs: one attempt at a task each, what it spent and what was forbidden to it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from orchestrd.domain.events import CheckResult, DeliverableFound, FileChange
from orchestrd.domain.model import Cause, Containment, Outcome, Usage


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
    containment: Containment | None = None
    """How its agent is held; None until that is known, and of runs of older versions."""
    ended_at: float | None = None
    waited: float = 0.0
    """Seconds spent waiting for answers, closed intervals only."""
    waiting_since: float | None = None
    rests: bool = False
    """True from the end of a turn until something of another one was told: only then does it wait for what it asked by file."""
    works_on: bool = False
    """True once the model was asked for something while the run waits: by work of its in the background."""
    frozen: float = 0.0
    """Seconds for which the home was frozen and the run did not wait besides, closed intervals only."""
    frozen_since: float | None = None
    leaves: bool = False
    """True once its agent had nothing left to do and was asked to leave, or is gone; its work may still be kept and checked."""
    stopping: Outcome | None = None
    stopping_reason: str = ""
    stopping_cause: Cause | None = None
    cancelled: bool = False
    curtailed: str = ""
    """Why a tool call was denied for want of money; empty when none was, or one was granted since."""
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
    """Nano-USD that one more response of every conversation of the agent's will cost, about."""
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
    confirmed: str = ""
    """Key of the first violation that halts it; empty while there is none."""
    unknown: int = 0
    """How many of its calls were denied because nobody could say what they do."""
    result: str | None = None
    files: tuple[FileChange, ...] = ()
    """The first of the changed paths."""
    file_count: int = 0
    left_out: tuple[str, ...] = ()
    """The first paths that were too large to be kept, lay too deep or were closed to the daemon."""
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
    def answered(self) -> bool:
        """
        True once the service has answered it.
        """
        return bool(self.response or self.tool_calls or (self.turns_ended and not self.is_error))

    @property
    def stands_still(self) -> bool:
        """
        True while the run's clock stands: it waits for a person, or the home is frozen.
        """
        return self.waiting_since is not None or self.frozen_since is not None

    @property
    def struck(self) -> bool:
        """
        True when its whole tree is to be ended at once, where it stands.
        """
        return self.stopping_cause is Cause.VIOLATION

    @property
    def spends(self) -> bool:
        """
        True while its agent may be asking the model for something just now.
        """
        rests = self.leaves or (self.phase is RunPhase.WAITING and not self.works_on)
        return not rests and self.phase in (RunPhase.STARTING, RunPhase.STREAMING, RunPhase.WAITING)

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


class ViolationRow(msgspec.Struct, frozen=True, kw_only=True, tag="violation"):
    """
    One forbidden act that was tried and denied, or was seen to have happened; as `domain.events.ViolationSeen` has it.
    """

    key: str
    run: str
    at: float
    tool: str
    rule: str
    target: str
    reason: str
    call: str = ""
    seen_by: str = "hook"
    evidence: str = ""
    act: str = ""
    fixed: bool = False

    @property
    def task(self) -> str:
        """
        Full name of the task.
        """
        return self.run.rpartition("/")[0]

    @property
    def name(self) -> str:
        """
        What a person calls it: ``task-001/1.2`` is the second of that task's first attempt.
        """
        attempt, _, number = self.key.rpartition("/")[2].partition("!")
        return f"{self.task.partition('/')[2]}/{attempt}.{number}"
