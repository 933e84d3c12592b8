"""
The journal's vocabulary: one frozen Struct per fact, tagged with the name it has in logs and in ``orchctl events``.

A fact says what happened, never what should happen next.  Facts point at bodies (a run's own files) and hold only what
state, money and reports need.  Tags and field names are stored for ever: fields may be added with a default, never
renamed.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Outcome, Task, Usage


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """
    Base of every fact.
    """

    @property
    def name(self) -> str:
        """
        The tag, ``run.exited``.
        """
        return str(self.__struct_config__.tag)


class DayEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a day.
    """

    day: str


class TaskEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a task; *task* is its full name, ``2026-11-22/task-001``.
    """

    task: str


class RunEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a run; *run* is its full name, ``2026-11-22/task-001/1``.
    """

    run: str


class QuestionEvent(Event, frozen=True, kw_only=True):
    """
    A fact about a question; *question* is its id, ``2026-11-22/task-001#1``.
    """

    question: str


class DaemonStarted(Event, frozen=True, kw_only=True, tag="daemon.started"):
    """
    A daemon took the home.
    """

    pid: int
    version: str


class DaemonStopped(Event, frozen=True, kw_only=True, tag="daemon.stopped"):
    """
    A daemon left the home in good order; live agents go on.
    """

    pid: int


class DaySubmitted(DayEvent, frozen=True, kw_only=True, tag="day.submitted"):
    """
    A task file for the day was accepted.  *limit* is nano-USD, or None when the file names none.
    """

    source: str
    limit: int | None = None


class LimitWarned(DayEvent, frozen=True, kw_only=True, tag="day.limit_warned"):
    """
    The day's spend passed the warning threshold.  Nano-USD.
    """

    spent: int
    limit: int


class LimitReached(DayEvent, frozen=True, kw_only=True, tag="day.limit_reached"):
    """
    The day's spend reached its limit: nothing new starts and running agents are halted.  Nano-USD.
    """

    spent: int
    limit: int


class TaskSubmitted(TaskEvent, frozen=True, kw_only=True, tag="task.submitted"):
    """
    A task is wanted.
    """

    spec: Task


class TaskUpdated(TaskEvent, frozen=True, kw_only=True, tag="task.updated"):
    """
    A task's text changed before it was done.
    """

    spec: Task


class TaskChecking(TaskEvent, frozen=True, kw_only=True, tag="task.checking"):
    """
    The agent ended well; the task's checks are being run.
    """


class TaskSucceeded(TaskEvent, frozen=True, kw_only=True, tag="task.succeeded"):
    """
    The work is done as far as the daemon can tell; what was verified is in the run.
    """


class TaskFailed(TaskEvent, frozen=True, kw_only=True, tag="task.failed"):
    """
    No further run will be tried by itself.
    """

    outcome: Outcome
    reason: str


class TaskRequeued(TaskEvent, frozen=True, kw_only=True, tag="task.requeued"):
    """
    Another run will be tried, not before *not_before* (wall seconds), resuming *session* when that is not None.
    """

    reason: str
    not_before: float = 0.0
    session: str | None = None
    by_person: bool = False


class TaskCancelled(TaskEvent, frozen=True, kw_only=True, tag="task.cancelled"):
    """
    The person does not want the task any more.
    """

    by: str = ""


class TaskApplied(TaskEvent, frozen=True, kw_only=True, tag="task.applied"):
    """
    The task's changes were brought over into the person's tree, unstaged.
    """

    files: tuple[str, ...] = ()


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


class RunPrepared(RunEvent, frozen=True, kw_only=True, tag="run.prepared"):
    """
    The working tree is ready: *base* is the commit, in the daemon's own repository, that the agent starts from.
    """

    base: str


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
    deliverables: tuple[DeliverableFound, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    summary: str = ""
    leftovers: int = 0
    """Processes of the agent that outlived it and were ended."""


class SpendSeen(RunEvent, frozen=True, kw_only=True, tag="run.spend_seen"):
    """
    One more reading of an API response that no result covers yet; *usage* and *cost* are increments (nano-USD).
    """

    message: str
    model: str
    usage: Usage
    cost: int


class ModelSpend(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens and cost (nano-USD) of one model.
    """

    model: str
    usage: Usage
    cost: int


class SpendSettled(RunEvent, frozen=True, kw_only=True, tag="run.spend_settled"):
    """
    The CLI's own account of everything since its last result, which replaces all readings since then.

    *estimated* is what those readings came to: a difference is a visible fact.  *source* is ``result``, or
    ``transcript`` when a process died before its result and its transcript files were read instead.
    """

    source: str
    spends: tuple[ModelSpend, ...]
    estimated: int


class TurnEnded(RunEvent, frozen=True, kw_only=True, tag="run.turn_ended"):
    """
    The CLI reported a result; *is_error* and *terminal_reason* decide, never its subtype.
    """

    is_error: bool
    terminal_reason: str | None
    text: str
    turns: int = 0


class ToolCalled(RunEvent, frozen=True, kw_only=True, tag="run.tool_called"):
    """
    The agent asked for a tool; *target* is the file, command or pattern it is about, cut to 200 characters.
    """

    call: str
    tool: str
    target: str = ""
    subagent: str | None = None


class ToolReturned(RunEvent, frozen=True, kw_only=True, tag="run.tool_returned"):
    """
    A tool call's result came back.
    """

    call: str
    is_error: bool


class RetrySeen(RunEvent, frozen=True, kw_only=True, tag="run.retry_seen"):
    """
    The CLI waits before repeating a failed API request.
    """

    attempt: int
    status: int | None
    error: str


class RateLimitSeen(RunEvent, frozen=True, kw_only=True, tag="run.rate_limit_seen"):
    """
    The account's usage window as the service reported it; *resets_at* is wall seconds.
    """

    status: str
    window: str
    utilization: float | None = None
    resets_at: float | None = None


class StreamDamaged(RunEvent, frozen=True, kw_only=True, tag="run.stream_damaged"):
    """
    Bytes of the agent's stream that are no message: one line, skipped; the next line counts again.
    """

    offset: int
    length: int
    reason: str


class ViolationSeen(RunEvent, frozen=True, kw_only=True, tag="run.violation_seen"):
    """
    A forbidden act was tried and denied before it ran.
    """

    call: str
    tool: str
    rule: str
    target: str
    reason: str


class QuestionOption(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer the agent offers.
    """

    label: str
    description: str = ""


class QuestionAsked(QuestionEvent, frozen=True, kw_only=True, tag="question.asked"):
    """
    The agent needs a decision that only the person may take.

    *request* is the control channel's request id, or None when the question came as a file.
    """

    run: str
    text: str
    header: str = ""
    options: tuple[QuestionOption, ...] = ()
    multi: bool = False
    request: str | None = None


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
    Nobody needs the answer any more: the run ended or the agent took the question back.
    """

    reason: str = ""


AnyEvent = (
    DaemonStarted
    | DaemonStopped
    | DaySubmitted
    | LimitWarned
    | LimitReached
    | TaskSubmitted
    | TaskUpdated
    | TaskChecking
    | TaskSucceeded
    | TaskFailed
    | TaskRequeued
    | TaskCancelled
    | TaskApplied
    | RunStarted
    | RunPrepared
    | RunInitialised
    | RunStopping
    | RunExited
    | SpendSeen
    | SpendSettled
    | TurnEnded
    | ToolCalled
    | ToolReturned
    | RetrySeen
    | RateLimitSeen
    | StreamDamaged
    | ViolationSeen
    | QuestionAsked
    | QuestionAnswered
    | AnswerDelivered
    | QuestionWithdrawn
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    A fact with its place in the journal: *seq* counts from 1 without gaps, *at* is wall seconds and only informs.
    """

    seq: int
    at: float
    event: AnyEvent


def task_of(event: Event) -> str | None:
    """
    The full name of the task an event is about, or None.
    """
    match event:
        case TaskEvent(task=task):
            return task
        case RunEvent(run=run):
            return run.rpartition("/")[0]
        case QuestionEvent(question=question):
            return question.rpartition("#")[0]
        case _:
            return None


def day_of(event: Event) -> str | None:
    """
    The day an event is about, or None.
    """
    if isinstance(event, DayEvent):
        return event.day
    task = task_of(event)
    return task.partition("/")[0] if task else None


def run_of(event: Event) -> str | None:
    """
    The run an event is about, or None.
    """
    if isinstance(event, RunEvent):
        return event.run
    return event.run if isinstance(event, QuestionAsked) else None
