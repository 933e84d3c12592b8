"""
The journal's vocabulary: one frozen Struct per fact, tagged with the name it has in logs and in ``orchctl events``.

A fact says what happened, never what should happen next.  Facts point at bodies (a run's own files) and hold only what
state, money and reports need.  Tags and field names are stored for ever: fields may be added with a default, never
renamed.
"""

from orchestrd.domain.events.base import DayEvent, Event, QuestionEvent, RunEvent, TaskEvent
from orchestrd.domain.events.home import (
    AccountBlocked,
    AccountOpened,
    AccountRetried,
    DaemonStarted,
    DaemonStopped,
    DayClosed,
    DaySubmitted,
    HomeFrozen,
    HomeThawed,
    LimitRaised,
    LimitReached,
    LimitWarned,
)
from orchestrd.domain.events.questions import (
    AnswerDelivered,
    QuestionAnswered,
    QuestionAsked,
    QuestionOption,
    QuestionWithdrawn,
)
from orchestrd.domain.events.record import AnyEvent, Cursor, Record, day_of, run_of, task_of
from orchestrd.domain.events.runs import (
    CheckResult,
    DeliverableFound,
    FileChange,
    RunCurtailed,
    RunExited,
    RunInitialised,
    RunPrepared,
    RunStarted,
    RunStopping,
    RunSwept,
)
from orchestrd.domain.events.salvage import FactLost, JournalSalvaged, RowRestored
from orchestrd.domain.events.spend import ModelSpend, SpendSeen, SpendSettled, SpendTold
from orchestrd.domain.events.stream import (
    RateLimitSeen,
    RetrySeen,
    StreamDamaged,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    ViolationSeen,
)
from orchestrd.domain.events.tasks import (
    TaskApplied,
    TaskCancelled,
    TaskChecking,
    TaskFailed,
    TaskHeld,
    TaskRequeued,
    TaskSubmitted,
    TaskSucceeded,
    TaskUpdated,
)

__all__ = [
    "AccountBlocked",
    "AccountOpened",
    "AccountRetried",
    "AnswerDelivered",
    "AnyEvent",
    "CheckResult",
    "Cursor",
    "DaemonStarted",
    "DaemonStopped",
    "DayClosed",
    "DayEvent",
    "DaySubmitted",
    "DeliverableFound",
    "Event",
    "FactLost",
    "FileChange",
    "HomeFrozen",
    "HomeThawed",
    "JournalSalvaged",
    "LimitRaised",
    "LimitReached",
    "LimitWarned",
    "ModelSpend",
    "QuestionAnswered",
    "QuestionAsked",
    "QuestionEvent",
    "QuestionOption",
    "QuestionWithdrawn",
    "RateLimitSeen",
    "Record",
    "RetrySeen",
    "RowRestored",
    "RunCurtailed",
    "RunEvent",
    "RunExited",
    "RunInitialised",
    "RunPrepared",
    "RunStarted",
    "RunStopping",
    "RunSwept",
    "SpendSeen",
    "SpendSettled",
    "SpendTold",
    "StreamDamaged",
    "TaskApplied",
    "TaskCancelled",
    "TaskChecking",
    "TaskEvent",
    "TaskFailed",
    "TaskHeld",
    "TaskRequeued",
    "TaskSubmitted",
    "TaskSucceeded",
    "TaskUpdated",
    "ToolCalled",
    "ToolReturned",
    "TurnEnded",
    "ViolationSeen",
    "day_of",
    "run_of",
    "task_of",
]
