"""
Bring an older journal to today's schema: one step a version, each in one transaction, with a copy of the old file kept.

A crash in a step leaves the version before it, whole, and the next start goes on from there.  The copy is made by SQLite
itself, so that what is still in the log is in it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from orchestrd.domain.fold import fold
from orchestrd.domain.history import counted, salvages
from orchestrd.domain.state import State
from orchestrd.errors import OrchestrdError
from orchestrd.failpoint import failpoint
from orchestrd.storage import mark as marks
from orchestrd.storage.home import sync_folder
from orchestrd.storage.integrity import Examined, reading
from orchestrd.storage.records import Batch, recorded, write
from orchestrd.storage.schema import EVENTS, SCHEMA_VERSION, crc, create, sealed

FROM_STREAM = (
    "run.initialised",
    "run.turn_ended",
    "run.tool_called",
    "run.tool_returned",
    "run.retry_seen",
    "run.rate_limit_seen",
    "run.stream_damaged",
    "run.violation_seen",
    "run.spend_seen",
)
"""Facts that come from a run's stream and from nowhere else."""
SALVAGED = "journal.salvaged"


def migrate(path: Path, found: Examined) -> None:
    """
    Bring the whole journal at *path*, of an older schema, to `SCHEMA_VERSION`.

    Raises `sqlite3.Error`, `OSError`.
    """
    _keep(path, path.with_name(f"{path.name}.schema{found.version}-{found.seq}"))
    # An older copy that was put back is the journal that the mark beside it knows.
    mark = marks.read(marks.path_of(path))
    identity = mark.identity if mark is not None else secrets.token_hex(16)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10.0)) as db:
        db.execute("PRAGMA synchronous = FULL")
        for version in range(found.version, SCHEMA_VERSION):
            db.execute("BEGIN IMMEDIATE")
            STEPS[version](db, identity)
            db.execute(f"PRAGMA user_version = {version + 1}")
            failpoint("journal.migrated.before_commit")
            db.execute("COMMIT")


def _keep(path: Path, copy: Path) -> None:
    """
    Copy the database, with its log, to *copy*; it appears whole or not at all.
    """
    new = copy.with_name(f"{copy.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with reading(path) as source, closing(sqlite3.connect(new, isolation_level=None)) as target:
        source.backup(target)
        # A copy that is looked at must not grow a log.
        target.execute("PRAGMA journal_mode = DELETE")
    new.replace(copy)
    sync_folder(copy.parent)


def _to_2(db: sqlite3.Connection, identity: str) -> None:
    """
    Checksums, an identity, and where in a stream a fact was read.

    Version 1 knew only how far a stream was read in the end: each of its facts is given the whole of that part.
    """
    tables = ("events", "rows", "cursors", "replies")
    db.execute("DROP INDEX events_by_task")
    for table in tables:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    create(db, 2)
    db.create_function("crc", -1, lambda *values: crc(values), deterministic=True)
    db.execute("INSERT INTO meta VALUES (?, ?, ?)", sealed("identity", identity))
    marks = ", ".join("?" * len(FROM_STREAM))
    db.execute(
        f"""
        INSERT INTO events
        SELECT seq, at, type, day, task, run, body, start, "end", crc(seq, at, type, day, task, run, body, start, "end")
        FROM (
            SELECT e.*, CASE WHEN c.offset IS NOT NULL THEN 0 END AS start, c.offset AS "end"
            FROM old_events e LEFT JOIN old_cursors c ON c.run = e.run AND e.type IN ({marks})
            ORDER BY e.seq
        )
        """,  # noqa: S608 - only question marks are filled in
        FROM_STREAM,
    )
    db.execute("INSERT INTO rows SELECT kind, key, body, crc(kind, key, body) FROM old_rows")
    db.execute("INSERT INTO cursors SELECT run, offset, crc(run, offset) FROM old_cursors")
    db.execute(
        """
        INSERT INTO replies SELECT request, method, body, newest, crc(request, method, body, newest)
        FROM old_replies, (SELECT coalesce(max(seq), 0) AS newest FROM old_events)
        """
    )
    for table in tables:
        db.execute(f"DROP TABLE old_{table}")


def _to_3(db: sqlite3.Connection, _: str) -> None:
    """
    The rows made anew: they know more than before of what the same facts say.

    Where the facts do not add up, the rows stay as they are: that is for `orchctl doctor --deep` to tell.
    """
    state = State()
    try:
        (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        known = salvages(map(recorded, db.execute(f"{EVENTS} WHERE type = ?", (SALVAGED,))), newest)
        for record in counted(map(recorded, db.execute(f"{EVENTS} ORDER BY seq")), known):
            state.put_all(fold(state, record))
    except (msgspec.DecodeError, OrchestrdError):
        return
    db.execute("DELETE FROM rows")
    write(db, Batch(rows=list(state.own_rows())), seq=0)


STEPS: dict[int, Callable[[sqlite3.Connection, str], None]] = {1: _to_2, 2: _to_3}
"""Version to the step that leads on from it; the second argument is the identity that the journal gets."""
