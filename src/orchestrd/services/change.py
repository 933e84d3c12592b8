"""
What a decision is and what it gives: a function of the state, and the facts that it wants recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from orchestrd.domain import events as ev
from orchestrd.domain.state import State

ResultT = TypeVar("ResultT")


class Change(Generic[ResultT]):
    """
    What a decision wants: the facts, in order, what to answer, and how far a stream was read.
    """

    def __init__(self, result: ResultT, *facts: ev.AnyEvent, cursor: ev.Cursor | None = None) -> None:
        self.answer: Callable[[State], ResultT] = lambda _: result
        self.facts: Sequence[ev.AnyEvent] = facts
        self.cursor = cursor

    @classmethod
    def answered(cls, answer: Callable[[State], ResultT], *facts: ev.AnyEvent) -> Change[ResultT]:
        """
        One whose *answer* is found in the state as these facts leave it.
        """
        change = cls(cast("ResultT", None), *facts)
        change.answer = answer
        return change


Decide = Callable[[State], Change[ResultT]]
