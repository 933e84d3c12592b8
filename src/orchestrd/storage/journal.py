"""
The journal: facts, the rows they add up to, stream cursors and given replies, in one SQLite database.

Everything that one decision changes is written in one transaction, so a crash leaves all of it or none of it, and a
start reads rows instead of replaying facts.  Synchronous code for one thread at a time; `services.store` is its only
writer.  It judges nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.errors import StorageError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL,
    day TEXT, task TEXT, run TEXT, body BLOB NOT NULL
);
CREATE INDEX events_by_task ON events (task, seq) WHERE task IS NOT NULL;
CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE cursors (run TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE replies (request TEXT PRIMARY KEY, method TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a run's stream has been turned into facts: from byte *start* to byte *end*.
    """

    run: str
    start: int
    end: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer given to a write under a request id, as JSON.
    """

    request: str
    method: str
    body: bytes


class Batch(msgspec.Struct, kw_only=True):
    """
    One transaction.
    """

    records: list[ev.Record] = []
    rows: list[Row] = []
    cursors: list[Cursor] = []
    replies: list[Reply] = []


class Journal:
    """
    An open journal.
    """

    def __init__(self, path: Path) -> None:
        """
        Open or create the database.

        Raises `StorageError` when it cannot be opened, is damaged, or belongs to a newer version.
        """
        self.path = path
        fresh = not path.exists()
        try:
            # Threads take turns: every call is made under the store's or the reader's own order.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            # FULL: an acknowledged write survives power loss, not only a crash of this process.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 1000")
            if fresh or not self._tables():
                self._create()
            self._check_version()
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{path}: the journal cannot be opened: {error}",
                hint="Nothing was changed. Keep the file; `orchctl doctor` says what can be saved.",
            ) from error
        self._row = msgspec.json.Decoder(Row)
        self._record = msgspec.json.Decoder(ev.AnyEvent)

    def close(self) -> None:
        """
        Close the database; unfinished transactions are rolled back.
        """
        self._db.close()

    def _tables(self) -> set[str]:
        return {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def _create(self) -> None:
        self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _check_version(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"{self.path}: the journal has schema {version}, this version reads {SCHEMA_VERSION}",
                hint="Install the version of orchestrd that last used this home.",
            )

    def rows(self) -> list[Row]:
        """
        Every row.
        """
        return [self._row.decode(body) for (body,) in self._db.execute("SELECT body FROM rows")]

    def last_seq(self) -> int:
        """
        The newest fact's number, 0 when there is none.
        """
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def cursors(self) -> dict[str, int]:
        """
        Run to the byte offset up to which its stream is in the journal.
        """
        return dict(self._db.execute("SELECT run, offset FROM cursors"))

    def replies(self, requests: Iterable[str]) -> dict[str, Reply]:
        """
        The replies already given under these request ids.
        """
        found: dict[str, Reply] = {}
        for request in requests:
            row = self._db.execute("SELECT method, body FROM replies WHERE request = ?", (request,)).fetchone()
            if row:
                found[request] = Reply(request=request, method=row[0], body=row[1])
        return found

    def commit(self, batch: Batch) -> None:
        """
        Write the batch in one durable transaction.

        Raises `StorageError`; then nothing of it was written.
        """
        encode = msgspec.json.encode
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        r.seq,
                        r.at,
                        r.event.name,
                        ev.day_of(r.event),
                        ev.task_of(r.event),
                        ev.run_of(r.event),
                        encode(r.event),
                    )
                    for r in batch.records
                ],
            )
            self._db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                [(row.__struct_config__.tag, row.key, encode(row)) for row in batch.rows],
            )
            self._db.executemany(
                "INSERT INTO cursors VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET offset = excluded.offset",
                [(c.run, c.end) for c in batch.cursors],
            )
            self._db.executemany(
                "INSERT INTO replies VALUES (?, ?, ?)", [(r.request, r.method, r.body) for r in batch.replies]
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StorageError(f"{self.path}: the journal could not be written: {error}") from error

    def events(
        self, *, since: int = 0, limit: int = 1000, task: str | None = None, day: str | None = None
    ) -> list[ev.Record]:
        """
        Up to *limit* facts with a number above *since*, oldest first, of one task or day when named.
        """
        where = ["seq > ?"]
        arguments: list[int | str] = [since]
        for column, value in (("task", task), ("day", day)):
            if value is not None:
                where.append(f"{column} = ?")
                arguments.append(value)
        query = f"SELECT seq, at, body FROM events WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"  # noqa: S608
        found: Sequence[tuple[int, float, bytes]] = self._db.execute(query, (*arguments, limit)).fetchall()
        return [ev.Record(seq=seq, at=at, event=self._record.decode(body)) for seq, at, body in found]
