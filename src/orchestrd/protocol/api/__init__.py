"""
Every method of the control socket: its parameters and its result.

Methods are ``noun.verb``; `METHODS` is the one list that the server dispatches by, the client calls by and
``rpc.discover`` is generated from.  Field names are the ones people see in ``--json``: money in USD, times ISO-8601 UTC,
durations in seconds.  A write takes an optional ``request_id``: the same id gives the same answer and acts once.
"""

from orchestrd.protocol.api.base import Nothing, Params, Tokens, Write
from orchestrd.protocol.api.costs import CostLine, CostQuery, Costs
from orchestrd.protocol.api.daemon import (
    AccountRetried,
    AccountRetry,
    DaemonStatus,
    Doctor,
    DoctorCheck,
    DoctorRepair,
    Freeze,
    Frozen,
    Stopping,
)
from orchestrd.protocol.api.methods import METHODS, Method
from orchestrd.protocol.api.questions import AnswerQuestion, Option, Question, QuestionList
from orchestrd.protocol.api.reports import (
    EventQuery,
    EventRecord,
    Events,
    ReportFiles,
    ReportQuery,
    Subscribe,
    Subscribed,
)
from orchestrd.protocol.api.tasks import (
    Attempt,
    Changed,
    CheckStatus,
    CostStatus,
    DeliverableStatus,
    Forecast,
    Status,
    StatusQuery,
    Submitted,
    TaskName,
    TaskNames,
    TaskStatus,
    TaskSubmit,
    UsageWindow,
    Wait,
    Waited,
    Why,
)
from orchestrd.protocol.api.work import Applied, Apply, Conflict, Diff, DiffQuery, FileChangeInfo, Logs, LogsQuery

__all__ = [
    "METHODS",
    "AccountRetried",
    "AccountRetry",
    "AnswerQuestion",
    "Applied",
    "Apply",
    "Attempt",
    "Changed",
    "CheckStatus",
    "Conflict",
    "CostLine",
    "CostQuery",
    "CostStatus",
    "Costs",
    "DaemonStatus",
    "DeliverableStatus",
    "Diff",
    "DiffQuery",
    "Doctor",
    "DoctorCheck",
    "DoctorRepair",
    "EventQuery",
    "EventRecord",
    "Events",
    "FileChangeInfo",
    "Forecast",
    "Freeze",
    "Frozen",
    "Logs",
    "LogsQuery",
    "Method",
    "Nothing",
    "Option",
    "Params",
    "Question",
    "QuestionList",
    "ReportFiles",
    "ReportQuery",
    "Status",
    "StatusQuery",
    "Stopping",
    "Submitted",
    "Subscribe",
    "Subscribed",
    "TaskName",
    "TaskNames",
    "TaskStatus",
    "TaskSubmit",
    "Tokens",
    "UsageWindow",
    "Wait",
    "Waited",
    "Why",
    "Write",
]
