"""
What the facts add up to: one row for the home, each day, task, run, question and violation, and for the snapshots of each
task's tree.

Rows are frozen; ``domain.fold`` makes new ones and the journal stores each beside the facts that made it.
"""

from orchestrd.domain.rows.home import Block, DayRow, HomeRow, Window
from orchestrd.domain.rows.questions import ABOUT_ACCOUNT, ABOUT_DAY, QuestionRow, QuestionState
from orchestrd.domain.rows.runs import RunPhase, RunRow, Spend, ViolationRow
from orchestrd.domain.rows.snapshots import SnapshotsRow, Taken
from orchestrd.domain.rows.tasks import Allowance, TaskRow

__all__ = [
    "ABOUT_ACCOUNT",
    "ABOUT_DAY",
    "Allowance",
    "Block",
    "DayRow",
    "HomeRow",
    "QuestionRow",
    "QuestionState",
    "Row",
    "RunPhase",
    "RunRow",
    "SnapshotsRow",
    "Spend",
    "Taken",
    "TaskRow",
    "ViolationRow",
    "Window",
]

Row = HomeRow | DayRow | TaskRow | RunRow | QuestionRow | ViolationRow | SnapshotsRow
