"""
Lead a journal over facts that are lost, when what all of them added up to is not.

Each lost fact's number is taken by a `FactLost`, which covers what no other fact tells of its stream; whatever is readable
behind it stays, as history; and behind the newest fact stands every row, as the journal itself held it.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import QuestionRow, Row, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.storage.remains import Remains, Standing


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """
    A part of a stream that is told of by facts, all lost, with numbers above *after* and below *before*.
    """

    source: ev.Cursor
    after: int
    before: int


def bridge(remains: Remains, state: State, whole: int, *, now: float) -> list[ev.Record] | None:
    """
    All facts of the new journal; None when there is nothing to lead to.  *state* is what the first *whole* facts add up to;
    *now* is wall seconds.
    """
    standing = remains.standing
    if standing is None or standing.seq <= whole:
        return None
    kept = {seq: fact for seq, fact in remains.facts.items() if seq <= standing.seq}
    lost = [seq for seq in range(1, standing.seq + 1) if seq not in kept]
    gaps = _gaps(kept, standing)
    covers = _covered(gaps, lost) if gaps is not None else None
    rows = _changed(state, standing)
    if covers is None or rows is None:
        return None
    facts: list[ev.Record] = []
    at = now
    for seq in range(1, standing.seq + 1):
        fact = kept.get(seq)
        if fact is None:
            # About when its neighbour was recorded.
            fact = ev.Record(seq=seq, at=at, event=ev.FactLost(), source=covers.get(seq))
        facts.append(fact)
        at = fact.at
    told: list[ev.AnyEvent] = [ev.JournalSalvaged(first=whole + 1, lost=len(lost), rows=len(rows)), *rows]
    return [*facts, *(ev.Record(seq=standing.seq + n, at=now, event=event) for n, event in enumerate(told, 1))]


def _gaps(kept: dict[int, ev.Record], standing: Standing) -> list[Gap] | None:
    """
    The parts of streams that no fact of *kept* tells of; None when its facts and cursors cannot be of one journal.
    """
    gaps: list[Gap] = []
    read: dict[str, ev.Cursor] = {}
    last: dict[str, int] = {}
    for seq in sorted(kept):
        source = kept[seq].source
        if source is None:
            continue
        end = read[source.run].end if source.run in read else 0
        if read.get(source.run) != source and source.start != end:
            gap = ev.Cursor(run=source.run, start=end, end=source.start)
            gaps.append(Gap(source=gap, after=last.get(source.run, 0), before=seq))
        read[source.run], last[source.run] = source, seq
    if not read.keys() <= standing.cursors.keys():
        return None
    for run, cursor in standing.cursors.items():
        end = read[run].end if run in read else 0
        if cursor != end:
            gap = ev.Cursor(run=run, start=end, end=cursor)
            gaps.append(Gap(source=gap, after=last.get(run, 0), before=standing.seq + 1))
    return gaps


def _covered(gaps: list[Gap], lost: list[int]) -> dict[int, ev.Cursor] | None:
    """
    A lost fact for each gap, of which each has one of its own; None when they are too few.
    """
    covers: dict[int, ev.Cursor] = {}
    open_gaps = list(gaps)
    for seq in lost:
        fitting = [gap for gap in open_gaps if gap.after < seq < gap.before]
        if fitting:
            # That which can wait least.
            gap = min(fitting, key=lambda gap: gap.before)
            covers[seq] = gap.source
            open_gaps.remove(gap)
    return None if open_gaps else covers


def _changed(state: State, standing: Standing) -> list[ev.RowRestored] | None:
    """
    The rows that *state* has not, or otherwise; None when they are not all there.
    """
    before = {_name(row): row for row in state.own_rows()}
    after = {_name(row): row for row in standing.rows}
    tasks = {row.key for row in standing.rows if isinstance(row, TaskRow)}
    runs = {row.key for row in standing.rows if isinstance(row, RunRow)}
    orphans = any(
        (isinstance(row, RunRow) and row.task not in tasks) or (isinstance(row, QuestionRow) and row.run not in runs)
        for row in standing.rows
    )
    if orphans or not before.keys() <= after.keys() or not standing.cursors.keys() <= runs:
        return None
    return [
        ev.RowRestored(kind=kind, key=key, body=msgspec.json.encode(row).decode())
        for (kind, key), row in after.items()
        if before.get((kind, key)) != row
    ]


def _name(row: Row) -> tuple[str, str]:
    return str(row.__struct_config__.tag), row.key
