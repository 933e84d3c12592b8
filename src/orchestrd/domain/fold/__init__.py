"""
``fold``: the only place where state changes.

``fold(state, record)`` reads the state and gives the rows that the fact changes; it changes nothing itself, and it does
not know who asks for a change or what happens because of it.  Each module here has the folds of the facts that the module of
its name in `domain.events` declares.
"""

from __future__ import annotations

from orchestrd.domain import events as ev
from orchestrd.domain.fold import home, questions, runs, salvage, snapshots, spend, stream, tasks
from orchestrd.domain.rows import Row
from orchestrd.domain.state import State

__all__ = ["fold"]
_FOLDS = (
    home.FOLDS
    | tasks.FOLDS
    | runs.FOLDS
    | spend.FOLDS
    | stream.FOLDS
    | questions.FOLDS
    | salvage.FOLDS
    | snapshots.FOLDS
)


def fold(state: State, record: ev.Record) -> list[Row]:
    """
    The rows that *record* changes, given *state*.

    Of a journal that was salvaged, only what is `effective` is folded.  Raises `IllegalTransition` when the fact cannot follow
    what is known.
    """
    handler = _FOLDS.get(type(record.event))
    return handler(state, record.event, record.at) if handler else []
