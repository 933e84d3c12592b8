"""
Which facts the state is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrd.domain import events as ev

Salvages = dict[int, ev.JournalSalvaged]
"""Number of the fact that a salvage is, of those that were not cut off themselves."""


def effective(records: Iterable[ev.Record]) -> Iterator[ev.Record]:
    """
    *records* without those that a salvage could not add up any more, nor whatever follows a loss that no salvage has made up
    for: without what is lost nothing after it can be trusted to add up.
    """
    facts = list(records)
    return counted(facts, salvages(facts, facts[-1].seq if facts else 0))


def salvages(records: Iterable[ev.Record], newest: int) -> Salvages:
    """
    The salvages among *records*; *newest* is the number of the journal's last fact.
    """
    return {
        r.seq: r.event
        for r in records
        if isinstance(r.event, ev.JournalSalvaged) and r.seq + r.event.rows <= newest  # else it is cut off itself
    }


def counted(records: Iterable[ev.Record], known: Salvages) -> Iterator[ev.Record]:
    """
    `effective` for *records* that are read one after another, where the salvages are *known*.
    """
    spans = [range(event.first, seq) for seq, event in known.items()]
    for record in records:
        if any(record.seq in span for span in spans):
            continue
        lost = isinstance(record.event, ev.FactLost | ev.JournalSalvaged)
        if lost and record.seq not in known:
            return
        yield record


def losses(records: Iterable[ev.Record]) -> int:
    """
    How many of *records* stand for one that is lost.
    """
    return sum(isinstance(record.event, ev.FactLost) for record in records)
