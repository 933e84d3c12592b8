"""
Facts about the life of runs, and the evidence they leave.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events.base import RunEvent
from orchestrd.domain.model import Cause, Containment, Outcome


class RunStarted(RunEvent, frozen=True, kw_only=True, tag="run.started"):
    """
    A run was decided and its directory named; written before the process exists.

    *session* is the conversation id we chose; *resumes* says that it continues an earlier run's conversation.
    """

    task: str
    attempt: int
    session: str
    resumes: bool = False
    tree: str
    reserved: int = 0
    """Nano-USD of the day's limit that are kept for it."""


class RunPrepared(RunEvent, frozen=True, kw_only=True, tag="run.prepared"):
    """
    The working tree is ready: *base* is the commit, in the daemon's own repository, that the agent starts from.
    """

    base: str


class RunContained(RunEvent, frozen=True, kw_only=True, tag="run.contained"):
    """
    How the agent that is started now is held by the system.
    """

    containment: Containment


class RunInitialised(RunEvent, frozen=True, kw_only=True, tag="run.initialised"):
    """
    The agent's first turn began.
    """

    model: str
    cli_version: str


class RunStopping(RunEvent, frozen=True, kw_only=True, tag="run.stopping"):
    """
    The daemon decided to end the run early, and why.
    """

    outcome: Outcome
    reason: str
    cancelled: bool = False
    cause: Cause | None = None


class RunCurtailed(RunEvent, frozen=True, kw_only=True, tag="run.curtailed"):
    """
    A tool call of the agent was denied for want of money, and it was asked for its summary.
    """

    cause: Cause
    reason: str


class RunRelieved(RunEvent, frozen=True, kw_only=True, tag="run.relieved"):
    """
    There is money again: a tool call of the agent, which was curtailed before, was granted.
    """


class RunLeaving(RunEvent, frozen=True, kw_only=True, tag="run.leaving"):
    """
    The agent has nothing left to do and is asked to leave, or its process tree is gone: it asks the model for nothing more.
    """


class DeliverableFound(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of one deliverable: *status* is found, missing, unchanged or unverified.
    """

    text: str
    path: str | None
    status: str


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of one check: *status* is passed, failed, timed_out or error; *log* is a file under the run directory.
    """

    name: str
    status: str
    exit_code: int | None = None
    seconds: float = 0.0
    log: str = ""


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """
    One path that differs between the run's base and its result: *kind* is created, modified, deleted or renamed.
    """

    path: str
    kind: str
    additions: int | None = None
    deletions: int | None = None


class RunExited(RunEvent, frozen=True, kw_only=True, tag="run.exited"):
    """
    The agent's whole process tree is gone, its stream is read to the end, and its work is kept as commit *result*.
    """

    outcome: Outcome
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    result: str | None = None
    files: tuple[FileChange, ...] = ()
    """The first of the changed paths; all of them are in commit *result*."""
    file_count: int = 0
    left_out: tuple[str, ...] = ()
    """The first paths that are too large for a snapshot, lie too deep or are closed to the daemon: they are only in the tree."""
    deliverables: tuple[DeliverableFound, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    summary: str = ""
    leftovers: int = 0
    """Processes of the agent that outlived it and were ended."""
    interrupted: tuple[str, ...] = ()
    """Tool calls that were under way when the agent ended, at most 20, each in one line."""
    quarantined: bool = False
    """The conversation it resumed cannot be gone on with, and was set aside."""
    work: float | None = None
    """Seconds that daemons saw the agent work; None where it was not told yet (0.1.0)."""
    cause: Cause | None = None


class RunSwept(RunEvent, frozen=True, kw_only=True, tag="run.swept"):
    """
    Processes of a run that had ended were found alive, and ended.
    """

    processes: int
