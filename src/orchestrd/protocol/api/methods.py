"""
The one list of methods: the server dispatches by it, the client calls by it, ``rpc.discover`` is generated from it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.protocol.api.base import Nothing, Params
from orchestrd.protocol.api.costs import CostQuery, Costs
from orchestrd.protocol.api.daemon import AccountRetried, AccountRetry, DaemonStatus, Doctor, Freeze, Frozen, Stopping
from orchestrd.protocol.api.questions import AnswerQuestion, Question, QuestionList
from orchestrd.protocol.api.reports import EventQuery, Events, ReportFiles, ReportQuery, Subscribe, Subscribed
from orchestrd.protocol.api.snapshots import Restore, Restored, SnapshotList, SnapshotsQuery
from orchestrd.protocol.api.tasks import (
    Changed,
    Disallow,
    Status,
    StatusQuery,
    Submitted,
    TaskName,
    TaskNames,
    TaskRetry,
    TaskSubmit,
    Wait,
    Waited,
    Why,
)
from orchestrd.protocol.api.work import Applied, Apply, Diff, DiffQuery, Logs, LogsQuery


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """
    A method's parameters, result, one-line summary, whether it changes anything (*writes*), whether it ends the daemon, and
    whether all it does is to make work stop (*stops*): it is done for one who is gone by then, too.
    """

    params: type[Params]
    result: Any
    summary: str
    writes: bool = False
    ends: bool = False
    stops: bool = False

    @property
    def commands(self) -> bool:
        """
        True when it is for the person alone: an agent may only look.
        """
        return self.writes or self.ends


METHODS: dict[str, Method] = {
    "task.submit": Method(
        params=TaskSubmit, result=Submitted, summary="Validate a task file and start its tasks", writes=True
    ),
    "task.status": Method(params=StatusQuery, result=Status, summary="The day at a glance"),
    "task.why": Method(params=TaskName, result=Why, summary="Why a task is not moving"),
    "task.cancel": Method(params=TaskNames, result=Changed, summary="Stop tasks for good", writes=True, stops=True),
    "task.retry": Method(params=TaskRetry, result=Changed, summary="Try ended tasks again", writes=True),
    "task.disallow": Method(
        params=Disallow, result=Changed, summary="Take back what a task was allowed beyond the rules", writes=True
    ),
    "task.wait": Method(params=Wait, result=Waited, summary="Wait until tasks have ended"),
    "task.diff": Method(params=DiffQuery, result=Diff, summary="What a task changed"),
    "task.apply": Method(params=Apply, result=Applied, summary="Bring changes into the person's tree", writes=True),
    "task.snapshots": Method(params=SnapshotsQuery, result=SnapshotList, summary="The snapshots of a task's tree"),
    "task.restore": Method(
        params=Restore, result=Restored, summary="Put a snapshot of a task's tree back", writes=True
    ),
    "task.logs": Method(params=LogsQuery, result=Logs, summary="Where a run's files are"),
    "question.list": Method(params=QuestionList, result=list[Question], summary="Questions for the person"),
    "question.answer": Method(
        params=AnswerQuestion, result=Question, summary="Answer; the first one wins", writes=True
    ),
    "report.get": Method(params=ReportQuery, result=ReportFiles, summary="Write and read a day's report"),
    "cost.list": Method(params=CostQuery, result=Costs, summary="What was spent"),
    "event.list": Method(params=EventQuery, result=Events, summary="A page of the journal"),
    "events.subscribe": Method(params=Subscribe, result=Subscribed, summary="Follow the journal"),
    # Not one that `stops`: who gives up on a daemon that hangs stops everything without it, and may have let it go on since.
    "home.freeze": Method(params=Freeze, result=Frozen, summary="Stop everything now, reversibly", writes=True),
    "home.thaw": Method(params=Freeze, result=Frozen, summary="Let everything that was stopped go on", writes=True),
    "account.retry": Method(
        params=AccountRetry, result=AccountRetried, summary="Try the account now, whatever it waits for", writes=True
    ),
    "daemon.status": Method(params=Nothing, result=DaemonStatus, summary="The daemon itself"),
    "daemon.stop": Method(params=Nothing, result=Stopping, summary="End the daemon; agents go on", ends=True),
    "daemon.doctor": Method(params=Nothing, result=Doctor, summary="Check what agents need"),
    "rpc.discover": Method(params=Nothing, result=dict[str, Any], summary="This interface as an OpenRPC document"),
}
