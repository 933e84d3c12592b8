"""
Where a session reports: all that it knows of the rest of the daemon.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import anyio
import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause
from orchestrd.domain.rows import QuestionRow, RunRow
from orchestrd.runner.heard import Heard


class Keeping(msgspec.Struct, kw_only=True):
    """
    A tree that is being kept: *done* is set once it is, or cannot be; then *trouble* says why not, empty where nothing is wrong with it.
    """

    done: anyio.Event = msgspec.field(default_factory=anyio.Event)
    trouble: str = ""


class Desk(Protocol):
    """
    What a session needs of the daemon.
    """

    async def heard(self, run: str, heard: Heard, cursor: ev.Cursor) -> bool:
        """
        Record the facts, questions and withdrawals durably, with how far the stream was read; False when there was nothing
        to record, and the cursor stands where it stood.
        """

    async def delivered(self, questions: list[QuestionRow]) -> None:
        """
        Record that these answers are in the agent's hands.
        """

    def attached(self, run: str) -> None:
        """
        Everything that the run's agent had written when it was taken up has been read: from now on news are heard.
        """

    @property
    def reckoned(self) -> bool:
        """
        True once that is so of every agent that was taken up: what all have spent is known.
        """
        ...

    async def cleared(self, run: str) -> bool:
        """
        Wait until an agent may be started; False when the run is to stop first.
        """
        ...

    def curb(self, run: str) -> tuple[Cause, str] | None:
        """
        Why the agent gets no further tool call, or None.
        """

    async def curtailed(self, run: str, cause: Cause, reason: str) -> None:
        """
        Record that a tool call is denied for want of money.
        """

    async def relieved(self, run: str) -> None:
        """
        Record that a tool call is granted after one was denied for want of money.
        """

    async def halt(self, run: str, cause: Cause, reason: str) -> None:
        """
        Record that the run must stop, and why.
        """

    def strikes(self, run: str, facts: Iterable[ev.AnyEvent]) -> bool:
        """
        True when these *facts* of the run, which are not recorded yet, make its halt due.
        """
        ...

    async def violated(self, run: str, violation: ev.ViolationSeen, reason: str) -> None:
        """
        Record a *violation* that was seen to have happened, once, and that the run must stop for it, because of *reason*.
        """

    async def leaving(self, run: str) -> None:
        """
        The agent's turn is over: record what it may have asked in a file, before it is let go.
        """

    async def let_go(self, run: str) -> None:
        """
        Record that the agent has nothing left to do and is asked to leave.
        """

    def keep_tree(self, run: str, call: str) -> Keeping:
        """
        Have the run's tree kept as it is now, before the tool *call*.
        """
        ...

    def row(self, run: str) -> RunRow:
        """
        The run as recorded.
        """

    def questions(self, run: str) -> list[QuestionRow]:
        """
        The run's questions as recorded.
        """

    def changes(self) -> anyio.Event:
        """
        Set at the next recorded change.
        """

    @property
    def frozen(self) -> bool:
        """
        True while every agent's processes stand still.
        """
        ...
