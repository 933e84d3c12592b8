"""
The journal's tables, in every version they ever had, and the checksum that each record carries.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from functools import cache
from types import NoneType

import msgspec

SCHEMAS = {
    1: """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL,
    day TEXT, task TEXT, run TEXT, body BLOB NOT NULL
);
CREATE INDEX events_by_task ON events (task, seq) WHERE task IS NOT NULL;
CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE cursors (run TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE replies (request TEXT PRIMARY KEY, method TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
""",
    2: """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL, day TEXT, task TEXT, run TEXT,
    body BLOB NOT NULL, start INTEGER, "end" INTEGER, crc INTEGER NOT NULL
);
CREATE INDEX events_by_task ON events (task, seq) WHERE task IS NOT NULL;
CREATE TABLE rows (
    kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE cursors (run TEXT PRIMARY KEY, offset INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE replies (
    request TEXT PRIMARY KEY, method TEXT NOT NULL, body BLOB NOT NULL, seq INTEGER NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID;
""",
}
SCHEMAS[3] = SCHEMAS[2]
"""
Version to its SQL; what a version was stays what it was.

Since version 2: ``crc`` is the record's checksum, see `crc`.  ``events.start`` and ``events.end`` are the bytes of the
run's stream that a fact was read from, NULL when it came from elsewhere.  ``replies.seq`` is the newest fact there was
when the reply was given.  ``meta`` holds the *identity*, random and made with the database.

Version 3 has the tables of version 2, and more in its rows: they are made anew from the facts.
"""
SCHEMA_VERSION = max(SCHEMAS)
EVENTS = 'SELECT seq, at, type, day, task, run, body, start, "end", crc FROM events'
RECORDS = {
    "meta": "SELECT key, value, crc FROM meta",
    "rows": "SELECT kind, key, body, crc FROM rows",
    "cursors": "SELECT run, offset, crc FROM cursors",
    "replies": "SELECT request, method, body, seq, crc FROM replies",
}
"""Table to the query for all its columns, the checksum last; facts have `EVENTS`."""

TYPES: dict[str, tuple[tuple[type, ...], ...]] = {
    "meta": ((str,), (str,)),
    "events": (
        (int,),
        (float,),
        (str,),
        (str, NoneType),
        (str, NoneType),
        (str, NoneType),
        (bytes,),
        *[(int, NoneType)] * 2,
    ),
    "rows": ((str,), (str,), (bytes,)),
    "cursors": ((str,), (int,)),
    "replies": ((str,), (str,), (bytes,), (int,)),
}
"""Table to what its columns may hold, the checksum left out: SQLite takes anything anywhere."""

_packed = msgspec.msgpack.Encoder().encode
Value = str | bytes | int | float | None


def crc(values: tuple[Value, ...]) -> int:
    """
    The checksum of a record: CRC-32 of its other columns as one MessagePack array.
    """
    return zlib.crc32(_packed(values))


def sealed(*values: Value) -> tuple[Value, ...]:
    """
    A record's columns with their checksum behind them.
    """
    return (*values, crc(values))


def intact(record: tuple[Value, ...]) -> bool:
    """
    True when the last column is the checksum of the others.
    """
    return crc(record[:-1]) == record[-1]


def shaped(table: str, values: tuple[Value, ...]) -> bool:
    """
    True when *values*, a record of *table* without its checksum, are of the kinds that are written there.
    """
    types = TYPES[table]
    return len(values) == len(types) and all(map(isinstance, values, types))


def sound(table: str, record: tuple[Value, ...]) -> bool:
    """
    True when *record*, with its checksum, is one that was written into *table*.
    """
    return shaped(table, record[:-1]) and intact(record)


def create(db: sqlite3.Connection, version: int = SCHEMA_VERSION) -> None:
    """
    Make the tables of *version*, inside the transaction that is open.
    """
    for statement in filter(str.strip, SCHEMAS[version].split(";")):
        db.execute(statement)


def described(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """
    Every table and index of the database, by name, with its SQL.
    """
    return list(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"))


@cache
def expected(version: int) -> list[tuple[str, str]]:
    """
    What `described` gives for a database of *version*.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create(db, version)
        return described(db)
