"""
Facts about the journal itself: what a salvage found missing, and what it put in its place.
"""

from __future__ import annotations

from orchestrd.domain.events.base import Event


class FactLost(Event, frozen=True, kw_only=True, tag="journal.fact_lost"):
    """
    Stands at the number of a fact that could not be read any more.  Its source, when it has one, is the part of a stream
    that no other fact tells of.
    """


class JournalSalvaged(Event, frozen=True, kw_only=True, tag="journal.salvaged"):
    """
    A damaged journal was made anew.  The facts from number *first* on up to this one are history: some of them are lost, and
    what all of them added up to is told by the *rows* `RowRestored` that follow.  *lost* counts those that are lost.
    """

    first: int
    lost: int
    rows: int


class RowRestored(Event, frozen=True, kw_only=True, tag="journal.row_restored"):
    """
    A row as the damaged journal held it, whole: *kind*, *key*, and *body*, which is JSON.
    """

    kind: str
    key: str
    body: str
