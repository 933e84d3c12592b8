"""
Every method of the control socket: its parameters and its result.

Methods are ``noun.verb``; `METHODS` is the one list that the server dispatches by, the client calls by and
``rpc.discover`` is generated from.  Field names are the ones people see in ``--json``: money in USD, times ISO-8601 UTC,
durations in seconds.  A write takes an optional ``request_id``: the same id gives the same answer and acts once.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Params(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    Base of every method's parameters.
    """


class Write(Params, kw_only=True):
    """
    Base of the parameters of methods that change something.
    """

    request_id: str | None = None


class Nothing(Params):
    """
    No parameters.
    """


class Tokens(msgspec.Struct, kw_only=True):
    """
    Token counts; *cache_write* sums both lifetimes.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


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


class CostStatus(msgspec.Struct, kw_only=True):
    """
    The day's money; *fraction* is spent / limit.
    """

    spent_usd: float = 0.0
    reserved_usd: float = 0.0
    limit_usd: float = 0.0
    fraction: float = 0.0


class DaemonStatus(msgspec.Struct, kw_only=True):
    """
    The daemon that answered.
    """

    pid: int
    started_at: str
    version: str
    home: str = ""
    agents: int = 0
    hold: str | None = None
    """Why nothing new starts (no agent CLI, not logged in), or None."""


class Status(msgspec.Struct, kw_only=True):
    """
    A day.  *day* is None while nothing was ever submitted; *settled* when nothing more happens by itself.
    """

    day: str | None
    cost: CostStatus
    tasks: list[TaskStatus]
    daemon: DaemonStatus
    settled: bool = True
    seq: int = 0
    """The newest fact this answer includes."""


class TaskNames(Write, kw_only=True):
    """
    Tasks by short or full name; *day* is what a short name refers to, the newest day that has it by default.
    """

    tasks: list[str] = []
    day: str | None = None
    all: bool = False


class TaskName(Params, kw_only=True):
    """
    One task by short or full name.
    """

    task: str
    day: str | None = None


class Changed(msgspec.Struct, kw_only=True):
    """
    The full names of the tasks a command changed, and those it did not need to.
    """

    changed: list[str] = []
    unchanged: list[str] = []
    notes: list[str] = []


class QuestionList(Params, kw_only=True):
    """
    *day* or the newest; *all* includes answered ones.
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
    A question and what became of it: *state* is open, answered, delivered or withdrawn.
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


class DiffQuery(Params, kw_only=True):
    """
    The work of a task: *stat* gives a summary instead of the lines, *color* ANSI colours; *attempt* is a run's number,
    the newest by default.
    """

    task: str
    stat: bool = False
    color: bool = False
    attempt: int | None = None
    offset: int = 0
    """Bytes already received: a long diff comes in parts."""


class FileChangeInfo(msgspec.Struct, kw_only=True):
    """
    One changed path: *kind* is created, modified, deleted or renamed.
    """

    path: str
    kind: str
    additions: int | None = None
    deletions: int | None = None


class Diff(msgspec.Struct, kw_only=True):
    """
    *text* is a part of at most 256 KiB; *next_offset* asks for the rest, None when this was the end.
    """

    task: str
    run: str
    text: str
    files: list[FileChangeInfo] = []
    next_offset: int | None = None


class Apply(Write, kw_only=True):
    """
    Bring the tasks' changes over into the person's tree, unstaged, all of them or nothing.
    """

    tasks: list[str]
    dry_run: bool = False


class Conflict(msgspec.Struct, kw_only=True):
    """
    A path that stands in the way, and why.
    """

    path: str
    reason: str


class Applied(msgspec.Struct, kw_only=True):
    """
    What came over.  With *conflicts* nothing was touched.
    """

    tasks: list[str]
    created: list[str] = []
    modified: list[str] = []
    deleted: list[str] = []
    already: list[str] = []
    conflicts: list[Conflict] = []
    dry_run: bool = False


class Logs(msgspec.Struct, kw_only=True):
    """
    Where a run's files are, absolute; *live* while the run goes on.
    """

    task: str
    run: str
    attempt: int
    stdout: str
    stderr: str
    live: bool


class LogsQuery(Params, kw_only=True):
    """
    The files of a task's run: the newest, or *attempt*.
    """

    task: str
    attempt: int | None = None


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


class ReportQuery(Params, kw_only=True):
    """
    *day* or the newest.
    """

    day: str | None = None


class ReportFiles(msgspec.Struct, kw_only=True):
    """
    The report's text (Markdown), its data, and where both were written.
    """

    day: str
    markdown: str
    data: dict[str, Any]
    path: str
    json_path: str


class EventQuery(Params, kw_only=True):
    """
    Facts with a number above *since*, at most *limit*.
    """

    since: int = 0
    limit: int = 200
    task: str | None = None
    day: str | None = None


class EventRecord(msgspec.Struct, kw_only=True):
    """
    One fact of the journal.
    """

    seq: int
    at: str
    type: str
    event: dict[str, Any]


class Events(msgspec.Struct, kw_only=True):
    """
    A page of facts; *last* is the number to go on from.
    """

    events: list[EventRecord]
    last: int


class Subscribe(Params, kw_only=True):
    """
    From now on, notifications ``event`` carry each fact above *since* (from now, when None) as an `EventRecord`; a
    notification ``gap`` with ``{"since": seq}`` says that this client was too slow and where to resume.
    """

    since: int | None = None


class Subscribed(msgspec.Struct, kw_only=True):
    """
    The number of the newest fact at the time of subscribing.
    """

    seq: int


class DoctorCheck(msgspec.Struct, kw_only=True):
    """
    One finding: *status* is ok, warning or problem; *hint* says what to do.
    """

    name: str
    status: str
    detail: str
    hint: str = ""


class Doctor(msgspec.Struct, kw_only=True):
    """
    The findings; *ok* when none is a problem.
    """

    ok: bool
    checks: list[DoctorCheck]


class Stopping(msgspec.Struct, kw_only=True):
    """
    The daemon leaves; agents go on.
    """

    pid: int
    agents: int


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """
    A method's parameters, result, one-line summary, and whether it changes anything.
    """

    params: type[Params]
    result: Any
    summary: str
    writes: bool = False


METHODS: dict[str, Method] = {
    "task.submit": Method(
        params=TaskSubmit, result=Submitted, summary="Validate a task file and start its tasks", writes=True
    ),
    "task.status": Method(params=StatusQuery, result=Status, summary="The day at a glance"),
    "task.cancel": Method(params=TaskNames, result=Changed, summary="Stop tasks for good", writes=True),
    "task.retry": Method(params=TaskNames, result=Changed, summary="Try ended tasks again", writes=True),
    "task.wait": Method(params=Wait, result=Waited, summary="Wait until tasks have ended"),
    "task.diff": Method(params=DiffQuery, result=Diff, summary="What a task changed"),
    "task.apply": Method(params=Apply, result=Applied, summary="Bring changes into the person's tree", writes=True),
    "task.logs": Method(params=LogsQuery, result=Logs, summary="Where a run's files are"),
    "question.list": Method(params=QuestionList, result=list[Question], summary="Questions for the person"),
    "question.answer": Method(
        params=AnswerQuestion, result=Question, summary="Answer; the first one wins", writes=True
    ),
    "report.get": Method(params=ReportQuery, result=ReportFiles, summary="Write and read a day's report"),
    "event.list": Method(params=EventQuery, result=Events, summary="A page of the journal"),
    "events.subscribe": Method(params=Subscribe, result=Subscribed, summary="Follow the journal"),
    "daemon.status": Method(params=Nothing, result=DaemonStatus, summary="The daemon itself"),
    "daemon.stop": Method(params=Nothing, result=Stopping, summary="End the daemon; agents go on"),
    "daemon.doctor": Method(params=Nothing, result=Doctor, summary="Check what agents need"),
    "rpc.discover": Method(params=Nothing, result=dict[str, Any], summary="This interface as an OpenRPC document"),
}
