"""
The journal's database as it lies there: read once, whole, and without disturbing whoever writes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.errors import DamagedJournal, StorageError
from orchestrd.storage import mark as marks
from orchestrd.storage.failure import REPAIR, told
from orchestrd.storage.integrity import (
    EMPTIED,
    LOST,
    Examined,
    behind,
    emptied,
    identity_of,
    is_database,
    log_of,
    problems,
    reading,
    refuse_unwritable,
    refuse_without,
    salvaged_of,
)
from orchestrd.storage.records import Reply, filed, recorded
from orchestrd.storage.schema import (
    EVENTS,
    RECORDS,
    SCHEMA_VERSION,
    SCHEMAS,
    Value,
    described,
    expected,
    shaped,
    sound,
)

_QUERIES = {"events": EVENTS, **RECORDS}
_QUERIES_1 = {
    "events": "SELECT seq, at, type, day, task, run, body, NULL, NULL, NULL FROM events",
    "rows": "SELECT kind, key, body, NULL FROM rows",
    "cursors": "SELECT run, offset, NULL FROM cursors",
    "replies": "SELECT request, method, body, 0, NULL FROM replies",
}
"""The same of a journal of schema 1, which knew neither sources nor checksums."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something in the database that is not as it was written.
    """

    subject: str = ""
    detail: str


class Ledger(msgspec.Struct, kw_only=True):
    """
    Everything in the database at one moment.

    *unreadable* says why it could not be read, empty when it could; *damaged* that a salvage may help; *faults* are what is
    wrong with what could be read.
    """

    version: int = SCHEMA_VERSION
    """The schema that the database has."""
    records: list[ev.Record] = []
    rows: dict[tuple[str, str], Row] = {}
    """``(kind, key)`` to the row."""
    cursors: dict[str, int] = {}
    replies: dict[str, Reply] = {}
    faults: list[Fault] = []
    unreadable: str = ""
    hint: str = ""
    damaged: bool = False
    salvaged: bool = False
    """True when it was made anew of what was whole of a damaged one."""


def read_ledger(path: Path) -> Ledger:
    """
    The database at *path*; never raises: what is wrong with it is told in what it gives.
    """
    had_log = log_of(path).exists()
    ledger = _read_ledger(path)
    if ledger.damaged and not had_log and log_of(path).exists():
        # Without a log nobody wrote; whoever began to in between may have changed the file under the eyes of its reader.
        return _read_ledger(path)
    return ledger


def _read_ledger(path: Path) -> Ledger:
    ledger = Ledger()
    try:
        if not path.exists():
            refuse_without(path)
        else:
            _refuse_strange(path)
            # Before the database: whoever writes meanwhile only gets further than the mark.
            mark = _mark(path, ledger)
            with reading(path) as db:
                # One transaction: a daemon may go on writing meanwhile, what is read here stays of one moment.
                db.execute("BEGIN")
                _read(db, path, mark, ledger)
    except (StorageError, sqlite3.Error, OSError, UnicodeDecodeError) as error:
        found = error if isinstance(error, StorageError) else told(path, "cannot be read", error)
        ledger.unreadable, ledger.hint = found.message, found.hint
        ledger.damaged = isinstance(found, DamagedJournal)
    return ledger


def _refuse_strange(path: Path) -> None:
    """
    Raises `DamagedJournal` for what is no database, or whose salvage was cut off.
    """
    if salvaged_of(path).exists():
        raise DamagedJournal(f"{path}: its salvage was cut off: {salvaged_of(path).name} waits", hint=REPAIR)
    if not is_database(path):
        raise DamagedJournal(f"{path}: the journal is no database", hint=REPAIR)
    refuse_unwritable(path)


def _mark(path: Path, ledger: Ledger) -> marks.Mark | None:
    try:
        return marks.read(marks.path_of(path))
    except marks.Garbled as error:
        _fault(ledger, marks.path_of(path).name, str(error))
        return None


def _fault(ledger: Ledger, subject: str, detail: str) -> None:
    ledger.faults.append(Fault(subject=subject, detail=detail))
    ledger.damaged = True


def _read(db: sqlite3.Connection, path: Path, mark: marks.Mark | None, ledger: Ledger) -> None:
    version = ledger.version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        ledger.unreadable = f"{path}: the journal has schema {version}, this version reads up to {SCHEMA_VERSION}"
        ledger.hint = "Install the version of orchestrd that last used this home."
        return
    if version not in SCHEMAS or described(db) != expected(version):
        raise DamagedJournal(f"{path}: the journal is not one of ours: its tables are others", hint=REPAIR)
    for line in problems(db, version):
        _fault(ledger, "", line)
    if version > 1:
        ledger.salvaged = db.execute("SELECT 1 FROM meta WHERE key = 'salvaged'").fetchone() is not None
    _read_events(db, version, ledger)
    _read_rows(db, version, ledger)
    for run, offset, _ in _sound(db, "cursors", version, ledger):
        ledger.cursors[run] = offset
    for request, method, body, _, _ in _sound(db, "replies", version, ledger):
        ledger.replies[request] = Reply(request=request, method=method, body=body)
    found = Examined(
        version=version,
        identity=identity_of(db) if version > 1 else "",
        seq=ledger.records[-1].seq if ledger.records else 0,
        replies=len(ledger.replies),
        whole=True,
    )
    short = behind(mark, found)
    if short and not ledger.faults:
        _fault(ledger, "", f"the journal is not whole: {short}")
    elif not ledger.faults and emptied(path, db, found):
        ledger.unreadable, ledger.hint, ledger.damaged = f"{path}: {EMPTIED}", LOST, True


def _sound(db: sqlite3.Connection, table: str, version: int, ledger: Ledger, order: str = "") -> Iterator[Any]:
    """
    The records of *table* that are as they are written.  The others were told by `problems`, or are here where it has no
    checksums to go by.
    """
    for record in db.execute(f"{(_QUERIES if version > 1 else _QUERIES_1)[table]}{order}"):
        if sound(table, record) if version > 1 else shaped(table, record[:-1]):
            yield record
        elif version == 1:
            _fault(ledger, f"{table} {record[0]!r}", "is not stored as it is written")


def _read_events(db: sqlite3.Connection, version: int, ledger: Ledger) -> None:
    for found in _sound(db, "events", version, ledger, " ORDER BY seq"):
        record = _record(found, ledger)
        if record is not None:
            ledger.records.append(record)


def _record(found: tuple[Value, ...], ledger: Ledger) -> ev.Record | None:
    subject = f"fact {found[0]!r}"
    try:
        record = recorded(found)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _fault(ledger, subject, f"cannot be read: {error}")
        return None
    kind, _, task, run = found[2:6]
    if filed(record) != found[2:6]:
        _fault(ledger, subject, f"{record.event.name} is filed as {kind!r} of {run!r}, {task!r}")
    return record


def _read_rows(db: sqlite3.Connection, version: int, ledger: Ledger) -> None:
    decode = msgspec.json.Decoder(Row).decode
    for kind, key, body, _ in _sound(db, "rows", version, ledger):
        try:
            row = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            _fault(ledger, f"row {kind} {key}", f"cannot be read: {error}")
            continue
        if (kind, key) != (row.__struct_config__.tag, row.key):
            _fault(ledger, f"row {kind} {key}", f"holds the {row.__struct_config__.tag} {row.key}")
        ledger.rows[kind, key] = row
