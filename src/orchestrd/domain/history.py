"""
Which facts the state is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrd.domain import events as ev


def effective(records: Iterable[ev.Record]) -> Iterator[ev.Record]:
    """
    *records* without those that a salvage could not add up any more, nor whatever follows a loss that no salvage has made up
    for: without what is lost nothing after it can be trusted to add up.
    """
    facts = list(records)
    newest = facts[-1].seq if facts else 0
    salvages = {
        r.seq: r.event
        for r in facts
        if isinstance(r.event, ev.JournalSalvaged) and r.seq + r.event.rows <= newest  # else it is cut off itself
    }
    spans = [range(event.first, seq) for seq, event in salvages.items()]
    for record in facts:
        if any(record.seq in span for span in spans):
            continue
        lost = isinstance(record.event, ev.FactLost | ev.JournalSalvaged)
        if lost and record.seq not in salvages:
            return
        yield record


def losses(records: Iterable[ev.Record]) -> int:
    """
    How many of *records* stand for one that is lost.
    """
    return sum(isinstance(record.event, ev.FactLost) for record in records)
