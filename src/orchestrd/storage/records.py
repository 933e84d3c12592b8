"""
What one transaction holds, and how it lies in the journal's tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.storage.schema import Value, sealed

_EVENT = msgspec.json.Decoder(ev.AnyEvent)
_encoded = msgspec.json.Encoder().encode


NEWEST = "newest"
"""In ``meta``: the number of the newest fact that the rows know of, to be read where the facts cannot be."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer given to a write under a request id, as JSON.  *seq* is the newest fact there was then, None when that is
    the newest of its transaction.
    """

    request: str
    method: str
    body: bytes
    seq: int | None = None


class Batch(msgspec.Struct, kw_only=True):
    """
    One transaction.  A stream's cursor moves with the facts that were read from it, see `Record.source`.
    """

    records: list[ev.Record] = []
    rows: list[Row] = []
    replies: list[Reply] = []

    @property
    def cursors(self) -> dict[str, int]:
        """
        Run to how far its stream is read with this.
        """
        return {r.source.run: r.source.end for r in self.records if r.source is not None}


def write(db: sqlite3.Connection, batch: Batch, *, seq: int) -> None:
    """
    Put *batch* into the tables, inside the transaction that is open; *seq* is the newest fact then.

    Facts and replies are new; rows and cursors take the place of older ones.
    """
    _insert(db, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_columns, batch.records))
    _insert(
        db,
        "INSERT INTO rows VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, crc = excluded.crc",
        ((row.__struct_config__.tag, row.key, _encoded(row)) for row in batch.rows),
    )
    _insert(
        db,
        "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (run) DO UPDATE SET offset = excluded.offset, crc = excluded.crc",
        batch.cursors.items(),
    )
    if batch.records:
        _insert(db, "INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", [(NEWEST, str(batch.records[-1].seq))])
    _insert(
        db,
        "INSERT INTO replies VALUES (?, ?, ?, ?, ?)",
        ((r.request, r.method, r.body, seq if r.seq is None else r.seq) for r in batch.replies),
    )


def _insert(db: sqlite3.Connection, statement: str, records: Iterable[tuple[Value, ...]]) -> None:
    db.executemany(statement, [sealed(*record) for record in records])


def _columns(record: ev.Record) -> tuple[Value, ...]:
    source = record.source
    span = (None, None) if source is None else (source.start, source.end)
    return (record.seq, float(record.at), *filed(record), _encoded(record.event), *span)


def filed(record: ev.Record) -> tuple[str, str | None, str | None, str | None]:
    """
    Type, day, task and run under which a fact lies in its table.
    """
    event, source = record.event, record.source
    # The stream's run also for a fact that names only its question.
    run = ev.run_of(event) or (source.run if source is not None else None)
    return event.name, ev.day_of(event), ev.task_of(event), run


def recorded(found: tuple[Value, ...]) -> ev.Record:
    """
    The fact that lies in *found*, the columns of `schema.EVENTS`.

    Raises `msgspec.DecodeError`.
    """
    seq, at, _, _, _, run, body, start, end, _ = found
    assert isinstance(seq, int)
    assert isinstance(at, float)
    assert isinstance(body, bytes)
    source = None
    if isinstance(start, int) and isinstance(end, int):
        source = ev.Cursor(run=str(run), start=start, end=end)
    return ev.Record(seq=seq, at=at, event=_EVENT.decode(body), source=source)
