"""
The things the program talks about: tasks, runs, questions, usage, violations.

Frozen values only.  Times are wall seconds since 1970 UTC, durations are seconds, sizes are bytes, and money is an
integer number of nano-USD (1 USD = 1_000_000_000): the cheapest published price, a cache read at USD 0.20 per million
tokens, is 200 nano-USD a token, so sums of usage times price are exact and only display rounds.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

NANO = 1_000_000_000


def usd(nano: int) -> float:
    """
    *nano* nano-USD as USD.
    """
    return nano / NANO


def nano_usd(amount: float) -> int:
    """
    *amount* USD as the nearest nano-USD.
    """
    return round(amount * NANO)


class Priority(StrEnum):
    """
    Urgent first; within one priority, the order of the task file.
    """

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Complexity(StrEnum):
    """
    How much a task is: it gives the default time limit.
    """

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Network(StrEnum):
    """
    What a sandboxed agent reaches: everything, the model's API and listed hosts, or nothing but the API's own requests.
    """

    FULL = "full"
    API_ONLY = "api-only"
    OFF = "off"


class Credentials(StrEnum):
    """
    Who has what the API asks for: a proxy outside, the agent's environment, or the CLI's own folder (a login).
    """

    PROXY = "proxy"
    ENV = "env"
    LOGIN = "login"


class Containment(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the system itself keeps an agent from.  *why* says what is not as it was *wanted*, in words for a person; empty when all is.
    """

    sandbox: bool
    wanted: bool = True
    why: str = ""
    network: Network
    credentials: Credentials


class Grouping(StrEnum):
    """
    What spend is summed by.
    """

    DAY = "day"
    TASK = "task"
    RUN = "run"
    MODEL = "model"
    MODULE = "module"


class Isolation(StrEnum):
    """
    Where the agent works: in a git worktree of its own, or in the person's tree.
    """

    WORKTREE = "worktree"
    IN_PLACE = "in_place"


class Verb(StrEnum):
    """
    What a deliverable says should happen to its path.
    """

    CREATE = "create"
    UPDATE = "update"
    EITHER = "either"


class Deliverable(msgspec.Struct, frozen=True, kw_only=True):
    """
    One promised result: *text* as the person wrote it, and the *path* read out of it, or None when it is prose.

    *optional* is true when the text makes it conditional ("if needed", "if using ...").
    """

    text: str
    path: str | None = None
    verb: Verb = Verb.EITHER
    optional: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """
    A shell command the daemon runs in the worktree after the agent ended well; exit status 0 passes.
    """

    name: str
    run: str
    timeout: float = 600.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """
    Work wanted, as a task file states it.  *order* is its place in the file, from 0.
    """

    day: str
    id: str
    name: str
    description: str
    order: int = 0
    module: str | None = None
    complexity: Complexity = Complexity.MEDIUM
    context_files: tuple[str, ...] = ()
    deliverables: tuple[Deliverable, ...] = ()
    priority: Priority = Priority.NORMAL
    depends_on: tuple[str, ...] = ()
    max_cost: int | None = None
    """Nano-USD over all attempts of the task, or None."""
    timeout: float | None = None
    """Seconds of work for one run, or None for the default of its complexity."""
    model: str | None = None
    agent: str = "claude"
    checks: tuple[Check, ...] = ()
    isolation: Isolation = Isolation.WORKTREE
    retries: int | None = None
    """Further runs after a failed one, or None for the configured default."""
    start_at: float | None = None
    """Not before this wall time."""

    @property
    def key(self) -> str:
        """
        The full name, ``2026-11-22/task-001``.
        """
        return f"{self.day}/{self.id}"


class TaskFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One day's tasks, whole and valid.
    """

    day: str
    tasks: tuple[Task, ...]
    max_cost: int | None = None
    """Nano-USD for the day, or None for the configured limit."""


class TaskState(StrEnum):
    """
    Where a task stands.
    """

    QUEUED = "queued"
    BLOCKED = "blocked"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CHECKING = "checking"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """
        True when nothing more happens to the task by itself.
        """
        return self in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)

    @property
    def alive(self) -> bool:
        """
        True while a run of the task is going on.
        """
        return self in (TaskState.RUNNING, TaskState.WAITING, TaskState.CHECKING)


class Outcome(StrEnum):
    """
    Why a run ended; finer than the task's state, because what follows depends on it.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "killed"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    OVER_BUDGET = "over_budget"
    VIOLATION = "violation"
    RATE_LIMITED = "rate_limited"
    ABANDONED = "abandoned"


class Cause(StrEnum):
    """
    What it was that ended a run; `domain.retries.REMEDIES` says of each what follows.
    """

    DONE = "done"
    GAVE_UP = "gave_up"
    """The agent reported that it could not do it."""
    CHECK_FAILED = "check_failed"
    NO_WORK = "no_work"
    """Its working tree is gone: what it did cannot be seen."""
    TURN_LIMIT = "turn_limit"
    STALLED = "stalled"
    LOOPED = "looped"
    """It made the same failing call over and over, and changed nothing in between."""
    TIMED_OUT = "timed_out"
    TASK_LIMIT = "task_limit"
    AGENT_BUDGET = "agent_budget"
    """The CLI's own budget is used up, which only its arguments can name: we give it none."""
    DAY_LIMIT = "day_limit"
    VIOLATION = "violation"
    CANCELLED = "cancelled"
    WINDOW = "window"
    """A subscription's usage window is used up."""
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    UNPAID = "unpaid"
    UNMETERED = "unmetered"
    """The model answers without saying what it uses: nobody can tell what that costs."""
    NO_MODEL = "no_model"
    TOO_LONG = "too_long"
    """Its conversation, or what it asked for, is more than the model can take in."""
    OUTPUT_LIMIT = "output_limit"
    """An answer was longer than the model may give, however often it was told to go on."""
    DECLINED = "declined"
    """The model will not answer it."""
    BAD_REQUEST = "bad_request"
    UNEXPLAINED = "unexplained"
    """No answer of the model came, and nothing says why: it may be this conversation's own."""
    UNUSABLE = "unusable"
    """The conversation it took up cannot be gone on with."""
    CRASHED = "crashed"
    LET_DOWN = "let_down"
    """The machine or the network failed the agent's process."""
    KILLED = "killed"
    OUT_OF_MEMORY = "out_of_memory"
    VANISHED = "vanished"
    """Nobody recorded its end: the machine went down, or its shim was killed."""
    NOT_READY = "not_ready"
    """Its working tree could not be made: its setup, or a merge, failed."""
    NOT_STARTED = "not_started"
    UNFOLLOWED = "unfollowed"
    """The daemon could not follow it and ended it."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens of one or more API responses.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def cache_write(self) -> int:
        """
        Tokens written to the cache, of either lifetime.
        """
        return self.cache_write_5m + self.cache_write_1h

    @property
    def prompt(self) -> int:
        """
        Tokens that were sent to the model, from the cache or not: no response is without.
        """
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """
        All tokens, whatever they cost.
        """
        return self.prompt + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
        )
