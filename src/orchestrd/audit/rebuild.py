"""
Make the journal's rows again from its facts.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from orchestrd.audit.facts import differs, folded
from orchestrd.audit.picture import Picture
from orchestrd.clock import Clock
from orchestrd.domain.transitions import IllegalTransition
from orchestrd.errors import StorageError
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch, write

Note = Callable[[str, str | Path, str], None]
"""``(what, subject, detail)``: writes down what is done next, or what was done."""


def remake_rows(picture: Picture, intend: Note, note: Note, clock: Clock) -> None:
    """
    Put the rows that the facts add up to in the place of those that differ, in one transaction, with a copy of the
    database kept.  The facts must be whole; rows that they do not add up to are left alone.

    Raises `StorageError`.
    """
    known = picture.ledger.rows
    try:
        expected = folded(picture)
    except IllegalTransition:
        return
    changed = {name: row for name, row in expected.items() if differs(picture, known.get(name), row)}
    extra = sorted(known.keys() - expected.keys())
    if not changed and not extra:
        return
    path = picture.home.database
    intend("rows", path, f"make {len(changed)} rows again and remove {len(extra)}, with a copy of the database kept")
    try:
        kept = keep_copy(path, clock)
        note("journal", path, f"a copy was kept as {kept.name}, before its rows were made again")
        # One of an older schema is brought to today's first, as at any start.
        Journal(path).close()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM rows WHERE kind = ? AND key = ?", extra)
            write(db, Batch(rows=list(changed.values())), seq=0)
            db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{path}: the rows could not be made again: {error}") from error
    for kind, key in sorted(changed):
        what = "made again from the facts" if (kind, key) in known else "was missing; made from the facts"
        note("rows", f"{kind} {key}", what)
    for kind, key in extra:
        note("rows", f"{kind} {key}", "removed: no fact made it")


def keep_copy(path: Path, clock: Clock) -> Path:
    """
    Copy the database at *path*, with what is in its log, beside it; gives the copy's path.

    Raises `OSError`, `sqlite3.Error`.
    """
    stamp = datetime.fromtimestamp(clock.wall(), UTC).strftime("%Y%m%dT%H%M%S.%f")
    copy = path.with_name(f"{path.name}.before-repair-{stamp}")
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        with copy.open("rb") as file:
            os.fsync(file.fileno())
    except (OSError, sqlite3.Error):
        copy.unlink(missing_ok=True)
        raise
    return copy
