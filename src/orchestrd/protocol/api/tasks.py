"""
Tasks: submit, status, why, cancel, retry, wait.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol.api.base import Params, Tokens, Write
from orchestrd.protocol.api.daemon import DaemonStatus
from orchestrd.protocol.api.questions import Question


class TaskSubmit(Write, kw_only=True):
    """
    Submit a task file: *path* is absolute and read by the daemon, unless its *text* is given (then *path* only names it).
    """

    path: str
    text: str | None = None
    dry_run: bool = False


class Forecast(msgspec.Struct, kw_only=True):
    """
    What the day may cost, from past runs; all None and *basis_runs* 0 while there is nothing to go by.
    """

    usd_p10: float | None = None
    usd_p50: float | None = None
    usd_p90: float | None = None
    basis_runs: int = 0


class Submitted(msgspec.Struct, kw_only=True):
    """
    What a submission did, by task id.  *notes* are sentences for the person; *missing* are tasks of the day that the
    file no longer names; *limit_usd* is the limit that now holds for the day.
    """

    day: str
    accepted: list[str] = []
    unchanged: list[str] = []
    updated: list[str] = []
    missing: list[str] = []
    notes: list[str] = []
    limit_usd: float = 0.0
    dry_run: bool = False
    forecast: Forecast = msgspec.field(default_factory=Forecast)


class StatusQuery(Params, kw_only=True):
    """
    *day* or the newest; *task* (short or full name) narrows to one.
    """

    day: str | None = None
    task: str | None = None


class DeliverableStatus(msgspec.Struct, kw_only=True):
    """
    *status* is found, missing, unchanged, unverified or pending.
    """

    text: str
    path: str | None
    status: str


class CheckStatus(msgspec.Struct, kw_only=True):
    """
    *status* is passed, failed, timed_out, error or pending.
    """

    name: str
    status: str


class Attempt(msgspec.Struct, kw_only=True):
    """
    One run of a task.  *cause* is what ended it, finer than its *outcome*; *resumed*: it went on with an earlier conversation.
    """

    run: str
    started_at: str
    resumed: bool = False
    ended_at: str | None = None
    outcome: str | None = None
    cause: str | None = None
    reason: str = ""
    cost_usd: float = 0.0


class Violation(msgspec.Struct, kw_only=True):
    """
    One forbidden act that was tried and denied.  *id* is what ``retry --allow`` takes; *halted*: the run was halted for it;
    *allowed*: the person has allowed it since.
    """

    id: str
    run: str
    at: str
    tool: str
    rule: str
    target: str
    reason: str
    halted: bool = False
    allowed: bool = False


class Allowed(msgspec.Struct, kw_only=True):
    """
    One act that the person allows a task beyond the rules; *id* is what ``policy disallow`` takes.
    """

    id: str
    tool: str
    target: str
    by: str
    at: str


class TaskStatus(msgspec.Struct, kw_only=True):
    """
    One task at a glance.  *question* is the id of its oldest open question, *why* one line on its state.
    """

    id: str
    day: str
    name: str
    state: str
    outcome: str | None = None
    run: str | None = None
    attempts: int = 0
    cost_usd: float = 0.0
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    tool_calls: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    question: str | None = None
    why: str = ""
    deliverables: list[DeliverableStatus] = []
    checks: list[CheckStatus] = []
    violations: int = 0
    module: str | None = None
    model: str | None = None
    files_changed: int = 0
    worked_seconds: float = 0.0
    applied_at: str | None = None
    activity: str = ""
    """What the agent did last, one line."""
    snapshots: int = 0
    snapshot_at: str | None = None
    """When the newest one was taken."""
    restored_at: str | None = None
    violation_list: list[Violation] = []
    allowed: list[Allowed] = []


class CostStatus(msgspec.Struct, kw_only=True):
    """
    The day's money; *fraction* is spent / limit.
    """

    spent_usd: float = 0.0
    reserved_usd: float = 0.0
    limit_usd: float = 0.0
    fraction: float = 0.0


class UsageWindow(msgspec.Struct, kw_only=True):
    """
    A subscription's usage window (*kind*: five_hour …) as the service told of it last, *at*: *utilization* is a fraction,
    *status* allowed, allowed_warning or rejected, *overage* that what is asked beyond it is answered and paid for by use.
    """

    kind: str
    status: str
    at: str
    utilization: float | None = None
    resets_at: str | None = None
    overage: bool = False


class Status(msgspec.Struct, kw_only=True):
    """
    A day.  *day* is None while nothing was ever submitted; *settled* when nothing more happens by itself.  *asks* are the
    daemon's own open questions, about the day or the account; *windows* is empty for an account without usage windows.
    """

    day: str | None
    cost: CostStatus
    tasks: list[TaskStatus]
    daemon: DaemonStatus
    settled: bool = True
    asks: list[Question] = []
    windows: list[UsageWindow] = []
    warnings: list[str] = []
    """
    In words: agents at work that the journal does not know; limits on money, the day's and its tasks' own, of which the warning
    threshold is passed.
    """
    account: str = ""
    """What keeps all agents from work, until when, and how the person ends that; empty while nothing does."""
    history: list[Attempt] = []
    """Every run of the task, where one was asked for."""
    seq: int = 0
    """The newest fact this answer includes."""


class TaskNames(Write, kw_only=True):
    """
    Tasks by short or full name; *day* is what a short name refers to, the newest day that has it by default.
    """

    tasks: list[str] = []
    day: str | None = None
    all: bool = False


class TaskRetry(TaskNames, kw_only=True):
    """
    *allow*: violations of the one task named, such as ``task-001/1.2``: it goes on where it was, and may do exactly what each of
    them was; *by* is the channel.
    """

    allow: list[str] = []
    by: str = "cli"


class Disallow(Write, kw_only=True):
    """
    *allowance* is the name under which *task* is allowed an act, see `Violation` and `Allowed`.
    """

    task: str
    allowance: str
    day: str | None = None
    by: str = "cli"


class TaskName(Params, kw_only=True):
    """
    One task by short or full name.
    """

    task: str
    day: str | None = None


class Why(msgspec.Struct, kw_only=True):
    """
    Why a task, by full name, is not moving: one line, times in the daemon's zone.
    """

    task: str
    state: str
    why: str


class Changed(msgspec.Struct, kw_only=True):
    """
    The full names of the tasks a command changed, and those it did not need to.
    """

    changed: list[str] = []
    unchanged: list[str] = []
    notes: list[str] = []


class Wait(Params, kw_only=True):
    """
    Wait until the named tasks have ended (all tasks of *day*, or of the newest day, when none is named), or nothing more
    happens by itself, or *timeout* seconds have passed.
    """

    tasks: list[str] = []
    day: str | None = None
    timeout: float | None = None


class Waited(msgspec.Struct, kw_only=True):
    """
    *done* when every task waited for has ended; *states* by full name.
    """

    done: bool
    timed_out: bool
    states: dict[str, str]
